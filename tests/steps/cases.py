"""Small data, small specs, and what a test looks at afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs import PipelineSpec
from airflow_mlops.steps import Platform

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

    from airflow_mlops.steps.pipeline import PipelineResult

# The heavy libraries are imported where they are used: tests of how DAGs are built take their settings from here.

INCLUDE = Path(__file__).parents[2] / "include"


def small_frame(n_rows: int = 300, *, start: str = "2020-01-01", slope: float = 2.0, seed: int = 0) -> pd.DataFrame:
    """Return days with ``y = slope * x`` and some noise."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "day": pd.date_range(start, periods=n_rows, freq="D"),
            "x": x,
            "y": slope * x + rng.normal(scale=0.3, size=n_rows),
        }
    )


def small_settings(inbox: Path) -> dict[str, Any]:
    """Return the settings of a pipeline over :func:`small_frame`, as a user would write them."""
    return {
        "model_name": "small",
        "data": {"path": str(inbox), "timestamp": "day"},
        "validation": {
            "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}],
        },
        "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.1}},
        "gate": {"metrics": {"mean_absolute_error": {"value_threshold": 1.0}}, "cold_start": True},
        "serving_check": None,  # a server takes seconds to start; the tests of serving start one
    }


def co2_settings(inbox: Path) -> dict[str, Any]:
    """Return what ``dags/co2.py`` declares, over another folder."""
    return {
        "model_name": "co2",
        "data": {
            "path": str(inbox),
            "timestamp": "date",
            "features": (INCLUDE / "co2_features.sql").read_text(),
        },
        "validation": {"suite": str(INCLUDE / "expectations" / "co2.json")},
        "training": {"target": "next_co2", "estimator": "include.co2_model:ridge", "params": {"alpha": 0.1}},
        "gate": {
            "metrics": {"mean_absolute_error": {"value_threshold": 1.0}},
            "baseline": "column",
            "baseline_column": "co2",
            "cold_start": True,
        },
        "serving_check": None,
    }


def run_named(run_id: str, *, pipeline: str = "small") -> PipelineRun:
    return PipelineRun(pipeline=pipeline, run_id=run_id, actor="ada")


def _client(platform: Platform) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(platform.mlflow.tracking_uri)


@dataclass(frozen=True)
class Left:
    """What a model has in the registry and in the storage."""

    versions: tuple[int, ...]
    alias: int | None
    journal: tuple[tuple[str, int | None, int], ...]


NOTHING_LEFT = Left(versions=(), alias=None, journal=())


def left_by(platform: Platform, model_name: str = "small") -> Left:
    """Look at the registry and at the journal."""
    from airflow_mlops.steps.registry.journal import read_journal

    client = _client(platform)
    versions = client.search_model_versions(f"name = '{model_name}'")
    return Left(
        versions=tuple(sorted(int(version.version) for version in versions)),
        alias=platform.mlflow.get_alias(model_name),
        journal=tuple(
            (entry.action, entry.from_version, entry.to_version)
            for entry in read_journal(model_name, storage=platform.storage)
        ),
    )


def runs_by_status(platform: Platform, model_name: str = "small") -> dict[str, int]:
    """Count the runs of an experiment by how they ended."""
    client = _client(platform)
    experiment = client.get_experiment_by_name(model_name)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    statuses = [run.info.status for run in runs]
    return {status: statuses.count(status) for status in statuses}


def elsewhere(platform: Platform, tracking_uri: str) -> Platform:
    """Return the same storage with another tracking server."""
    from airflow_mlops.adapters.mlflow.client import Mlflow

    return Platform(platform.storage, Mlflow(tracking_uri), platform.trusted_types)


def stored_file(platform: Platform, model_name: str, model_version: int) -> Path:
    """Return where the model of a version is stored."""
    source = _client(platform).get_model_version(model_name, str(model_version)).source
    folder = Path(platform.mlflow.tracking_uri.removeprefix("sqlite:///")).parent
    (file,) = folder.glob(f"artifacts/**/{source.rpartition('/')[2]}/**/model.skops")
    return file


def damage(platform: Platform, model_name: str, model_version: int) -> None:
    """Change a byte of a version's stored model."""
    file = stored_file(platform, model_name, model_version)
    file.write_bytes(file.read_bytes()[:-1] + b"!")


@dataclass(frozen=True)
class Bench:
    """A platform with a folder that data is delivered to."""

    platform: Platform
    inbox: Path

    def deliver(self, frame: pd.DataFrame, name: str = "part-1.csv") -> Path:
        frame.to_csv(self.inbox / name, index=False)
        return self.inbox / name

    def spec(self, **changes: Any) -> PipelineSpec:
        """Return the small pipeline, with some sections of its settings changed."""
        settings = small_settings(self.inbox)
        for section, change in changes.items():
            known = settings.get(section)
            settings[section] = known | change if isinstance(known, dict) else change
        return PipelineSpec.parse(settings)

    def run(self, run_id: str, spec: PipelineSpec | None = None, **options: Any) -> PipelineResult:
        from airflow_mlops.steps.pipeline import run_pipeline

        return run_pipeline(spec or self.spec(), platform=self.platform, run=run_named(run_id), **options)


# Steps to a state that many tests begin in: see ``tests.stage``.


def deliver(bench: Bench) -> None:
    bench.deliver(small_frame())


def run_first(bench: Bench) -> PipelineResult:
    return bench.run("first")


def hold_first(bench: Bench) -> PipelineResult:
    return bench.run("first", bench.spec(promotion={"policy": "hold"}))


def promote_first(bench: Bench) -> None:
    assert bench.run("first", params={"alpha": 50.0}).promotion is not None


def promote_second(bench: Bench) -> None:
    assert bench.run("second").promotion is not None
