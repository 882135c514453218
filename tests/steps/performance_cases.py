"""A shop whose model decides who pays, its inference log, and the labels that come weeks later."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.specs import PerformanceSpec, PipelineSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.monitoring.performance import check_performance
from airflow_mlops.steps.pipeline import run_pipeline
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.registry.models import LoadedModel, load_model
from tests.steps.cases import run_named

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
MATURE = timedelta(days=7)
N_A_DAY = 40
WINDOW = timedelta(days=7)
FEATURES = ("x", "z", "region")


def customers(n_rows: int, *, seed: int, strength: float = 2.0) -> pd.DataFrame:
    """Return customers of whom some pay: the more of ``x``, the likelier."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n_rows), rng.normal(size=n_rows)
    pays = rng.uniform(size=n_rows) < 1 / (1 + np.exp(-strength * x - 0.5 * z))
    region = np.where(rng.uniform(size=n_rows) < 0.5, "north", "south")
    spends = x + z + rng.normal(size=n_rows)
    band = np.select([spends < -1, spends > 1], ["little", "much"], "some")
    pays = np.where(pays, "yes", "no")
    return pd.DataFrame({"x": x, "z": z, "region": region, "pays": pays, "spends": spends, "band": band})


def settings(inbox: Path, name: str, metric: str, gate: dict[str, Any], **training: Any) -> PipelineSpec:
    """Return a pipeline over :func:`customers`."""
    return PipelineSpec.parse(
        {
            "model_name": name,
            "data": {"path": str(inbox / "customers.csv")},
            "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "x"}}]},
            "split": {"method": "random", "test_fraction": 0.4},
            "training": {"features": ["x", "z", "region"], **training},
            "gate": {"metrics": {metric: {}}, "cold_start": True, **gate},
            "serving_check": None,
        }
    )


def first_metric(target: str) -> str:
    return "mean_absolute_error" if target == "spends" else "accuracy"


@dataclass
class Shop:
    """A platform with a champion, whose log and labels are made by hand."""

    platform: Platform
    inbox: Path
    model_name: str
    target: str

    @classmethod
    def open(
        cls,
        platform: Platform,
        inbox: Path,
        name: str,
        *,
        metric: str = "",
        gate: dict[str, Any] | None = None,
        **training: Any,
    ) -> Shop:
        """Train a first champion."""
        customers(3000, seed=0).to_csv(inbox / "customers.csv", index=False)
        metric = metric or first_metric(training["target"])
        run_pipeline(
            settings(inbox, name, metric, gate or {}, **training),
            platform=platform,
            run=run_named("first", pipeline=name),
        )
        return cls(platform, inbox, name, training["target"])

    def clear(self) -> None:
        """Forget the log and the labels."""
        shutil.rmtree(self.log_folder, ignore_errors=True)
        (self.inbox / "labels.csv").unlink(missing_ok=True)

    @property
    def log_folder(self) -> Path:
        return self.platform.storage.path("inference", self.model_name)

    @functools.cached_property
    def model(self) -> LoadedModel:
        champion = current_champion(self.model_name, platform=self.platform)
        assert champion is not None
        uri = f"models:/{self.model_name}/{champion.model_version}"
        return load_model("The champion", uri, champion.model_digest, platform=self.platform)

    def serve(
        self,
        n_days: int = 31,
        *,
        until: datetime = NOW,
        n_a_day: int = N_A_DAY,
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
        **columns: Any,
    ) -> pd.DataFrame:
        """Have customers scored and logged, day by day, and return them with their ids, times and truth."""
        days = []
        for day in range(n_days):
            rows = customers(n_a_day, seed=1000 + day).assign(at=until - timedelta(days=day, hours=1))
            days.append(change(rows).assign(id=[f"{day:03d}-{place}" for place in range(n_a_day)]))
        served = pd.concat(days, ignore_index=True)
        self.log_rows(served, **columns)
        return served

    def log_rows(self, rows: pd.DataFrame, **columns: Any) -> None:
        """Score rows and log them under their ids and times."""
        scores, log = self.model.scores(rows), InferenceLog(self.log_folder)
        said = pa.table({"predictions": self.model.predict(rows)})
        if scores is not None:
            logged = scores[:, 1] if scores.shape[1] == 2 else scores.max(axis=1)
            said = said.append_column("scores", pa.array(logged))
        known: dict[str, Any] = {"model_version": 1, "model_digest": "sha256:0", "role": Role.CHAMPION}
        for at, places in rows.reset_index(drop=True).groupby("at").groups.items():
            answered = {name: said.take(pa.array(places)).column(name) for name in said.column_names}
            features = pa.Table.from_pandas(rows.iloc[places][[*FEATURES]], preserve_index=False)
            ids, moment = rows["id"].iloc[places].tolist(), at.to_pydatetime()
            own = {"ids": ids, "request_id": "r", "at": moment, **known, **answered, **columns}
            log.write(log_table(features, **own), at=moment)

    def deliver(self, rows: pd.DataFrame, **columns: Any) -> None:
        """Deliver the labels of some predictions."""
        known_at = (rows["at"] + timedelta(days=5)).dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        labels = pd.DataFrame({"id": rows["id"], "label": rows[self.target], "known_at": known_at})
        labels.assign(**columns).to_csv(self.inbox / "labels.csv", index=False)

    def spec(self, **changes: Any) -> PerformanceSpec:
        return PerformanceSpec.parse(
            {
                "labels": {"path": str(self.inbox / "labels.csv")},
                "label": "label",
                "id": "id",
                "known_at": "known_at",
                "maturity": MATURE,
                "metrics": {first_metric(self.target): {"change_threshold": 0.05}},
                **changes,
            }
        )

    def check(self, *, now: datetime | None = NOW, run_id: str = "check", **changes: Any) -> PerformanceReport:
        return check_performance(
            self.spec(**changes),
            model_name=self.model_name,
            platform=self.platform,
            run=run_named(run_id, pipeline="monitoring"),
            now=now,
        )
