"""A promotion, with all that it does, against what it stands for in MLflow.

Ours: the files of the version are read back and compared with their digest, their types are checked, the journal gets
its entry, the alias moves, MLflow is told of the entry, and the run of the outcome. Bare: ``create_model_version`` and
``set_registered_model_alias``, with the same files read back before (``promotion``) and without (``promotion_blind``).
In turn, on the same MLflow server, a process of its own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import child
from benchmarks.entry import Entry
from include.demo.services import free_port

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from airflow_mlops.core.registry.journal import ModelVersion
    from airflow_mlops.core.training.model import TrainedModel
    from airflow_mlops.steps import Platform
    from airflow_mlops.steps.pipeline import PipelineResult

REPETITIONS = 30


def measure() -> Entry:
    """Compare with two calls after the files were read back, as ours does."""
    ours, read, calls = _medians()
    return Entry(name="promotion", ours=ours, baseline=read + calls, unit="s", better="lower")


def measure_blind() -> Entry:
    """Compare with two calls that look at no file."""
    ours, _, calls = _medians()
    return Entry(name="promotion_blind", ours=ours, baseline=calls, unit="s", better="lower")


@cache
def _medians() -> tuple[float, float, float]:
    """Return the seconds of a promotion, of reading the files back, and of the two bare calls."""
    import mlflow

    from airflow_mlops.adapters.mlflow.client import Mlflow
    from airflow_mlops.adapters.storage.store import Storage
    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.steps import Platform
    from airflow_mlops.steps.promotion.promote import promote_model

    with tempfile.TemporaryDirectory() as folder, _mlflow_server(Path(folder)) as url:
        platform, client = Platform(Storage(f"{folder}/storage"), Mlflow(url)), mlflow.MlflowClient(url)
        mlflow.set_tracking_uri(url)
        result = _train(Path(folder), platform)
        model, blessing = result.model, result.blessing
        client.create_registered_model("bare")
        ours, read, bare, champion = [], [], [], None
        for number in range(REPETITIONS + 3):
            version = platform.mlflow.create_version(model, result.version.tags, "")
            blessing = replace(blessing, champion_version=champion)
            run = PipelineRun(pipeline="co2", run_id=str(number))
            ours.append(_seconds(lambda v=version, b=blessing, r=run: promote_model(v, b, platform=platform, run=r)))
            champion = version.model_version
            read.append(_seconds(lambda v=version: _read_files(v)))
            bare.append(_seconds(lambda: _bare_calls(client, model)))
    ours_s, read_s, bare_s = (statistics.median(each[3:]) for each in (ours, read, bare))  # the first ones import
    print(f"promotion {ours_s:.4f} s, reading the files back {read_s:.4f} s, two calls {bare_s:.4f} s")
    return ours_s, read_s, bare_s


def _read_files(version: ModelVersion) -> None:
    import mlflow

    uri = f"models:/{version.model_name}/{version.model_version}"
    with tempfile.TemporaryDirectory() as folder:
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)


def _bare_calls(client: MlflowClient, model: TrainedModel) -> None:
    model_id = model.model_uri.rpartition("/")[2]
    version = client.create_model_version("bare", source=model.model_uri, run_id=model.run_id, model_id=model_id)
    client.set_registered_model_alias("bare", "champion", version.version)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _train(folder: Path, platform: Platform) -> PipelineResult:
    """Return the result of a small pipeline whose version waits."""
    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.specs import PipelineSpec
    from airflow_mlops.steps.pipeline import run_pipeline

    rows = "".join(f"{n},{n * 7 % 101},{n * 7 % 101 * 2 + n * 31 % 17}\n" for n in range(600))
    (folder / "data.csv").write_text("n,x,y\n" + rows)
    spec = PipelineSpec.parse(
        {
            "model_name": "small",
            "data": {"path": str(folder / "data.csv")},
            "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "y"}}]},
            "split": {"method": "random"},
            "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge"},
            "gate": {"metrics": {"mean_absolute_error": {"value_threshold": 10.0}}, "cold_start": True},
            "serving_check": None,
            "promotion": {"policy": "hold"},
        }
    )
    result = run_pipeline(spec, platform=platform, run=PipelineRun(pipeline="small", run_id=uuid.uuid4().hex))
    if result.version is None:
        raise RuntimeError(f"Nothing to promote: {result.blessing}")
    return result


@contextmanager
def _mlflow_server(folder: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with child.serving(*command, url=f"{url}/health", log=folder / "mlflow.log", folder=folder, variables=variables):
        yield url
