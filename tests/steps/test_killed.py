"""A worker that dies without a word, and the retry of the same task in the same run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from airflow_mlops.core.values import Value
from airflow_mlops.steps.data import snapshot_dataset
from airflow_mlops.steps.evaluate import evaluate_model
from airflow_mlops.steps.gate import bless_model
from airflow_mlops.steps.promote import current_champion, promote_model, register_model
from airflow_mlops.steps.split import split_dataset
from airflow_mlops.steps.train import train_model
from tests.conftest import REPOSITORY
from tests.steps import trainers
from tests.steps.cases import Bench, Left, left_by, run_named, runs_by_status

CHILD = """
import json, os, signal, sys

from airflow_mlops.adapters.mlflow import Mlflow
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.core.split import DatasetSplit
from airflow_mlops.core.gate import Blessing
from airflow_mlops.core.promote import ModelVersion
from airflow_mlops.core.train import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs import TrainingSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.promote import promote_model, register_model
from airflow_mlops.steps.train import train_model

task = json.loads(sys.stdin.read())


def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_after(method):
    real = getattr(Mlflow, method)

    def call_and_die(*args, **kwargs):
        real(*args, **kwargs)
        kill()

    setattr(Mlflow, method, call_and_die)


if task["kill_after"]:
    kill_after(task["kill_after"])
if task["kill_before"]:
    setattr(Mlflow, task["kill_before"], kill)

platform = Platform(Storage(task["storage"]), Mlflow(task["tracking_uri"]))
run = PipelineRun.from_dict(task["run"])
values = task["values"]
if task["step"] == "train":
    split, training = DatasetSplit.from_dict(values[0]), TrainingSpec.parse(task["training"])
    train_model(split, training, model_name="small", platform=platform, run=run)
elif task["step"] == "register":
    register_model(TrainedModel.from_dict(values[0]), Blessing.from_dict(values[1]), platform=platform)
else:
    promote_model(ModelVersion.from_dict(values[0]), Blessing.from_dict(values[1]), platform=platform, run=run)
print("the step came to its end")
"""

RUN = run_named("the run")


def _kill(
    bench: Bench,
    step: str,
    *values: Value,
    kill_after: str = "",
    kill_before: str = "",
    kill_in_training: bool = False,
) -> None:
    """Run a step in a child process that dies by SIGKILL on the way."""
    task: dict[str, Any] = {
        "step": step,
        "kill_after": kill_after,
        "kill_before": kill_before,
        "storage": str(bench.platform.storage.root),
        "tracking_uri": bench.platform.mlflow.tracking_uri,
        "run": RUN.to_dict(),
        "values": [value.to_dict() for value in values],
        "training": _spec(bench).training.model_dump(mode="json"),
    }
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    if kill_in_training:
        environment[trainers.KILL_IN_TRAINING] = "1"
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(task),
        env=environment,
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert done.stdout == ""


def _spec(bench: Bench) -> Any:
    return bench.spec(training={"estimator": None, "function": trainers.kills_itself_if_asked, "params": {}})


class Flow:
    """The steps of one run, each of them repeatable."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.spec, self.platform = bench, _spec(bench), bench.platform
        snapshot = snapshot_dataset(self.spec.data, dataset="small", storage=self.platform.storage)
        self.split = split_dataset(snapshot, self.spec.data, self.spec.split, storage=self.platform.storage)

    def train(self) -> Any:
        return train_model(self.split, self.spec.training, model_name="small", platform=self.platform, run=RUN)

    def bless(self, model: Any) -> Any:
        report = evaluate_model(model, self.split, self.spec.gate, platform=self.platform, run=RUN)
        return bless_model(report, self.spec.gate, model, platform=self.platform, run=RUN)


@pytest.fixture
def flow(delivered: Bench) -> Flow:
    return Flow(delivered)


def _registered(flow: Flow) -> tuple[Any, Any]:
    model = flow.train()
    blessing = flow.bless(model)
    return register_model(model, blessing, platform=flow.platform), blessing


def _keys_of_finished_runs(bench: Bench) -> list[str]:
    client = MlflowClient(bench.platform.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], "status = 'FINISHED'")
    return [run.data.tags["mlops.step_key"] for run in runs]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param({"kill_in_training": True}, id="inside the user's function"),
        pytest.param({"kill_after": "log_training"}, id="after the model was logged"),
    ],
)
def test_a_training_that_was_killed_is_done_once_by_its_retry(flow: Flow, moment: dict[str, Any]):
    _kill(flow.bench, "train", flow.split, **moment)
    assert runs_by_status(flow.platform) == {"RUNNING": 1}
    model = flow.train()
    assert runs_by_status(flow.platform) == {"KILLED": 1, "FINISHED": 1}
    assert len(_keys_of_finished_runs(flow.bench)) == 1
    assert flow.train() == model
    blessing = flow.bless(model)
    version = register_model(model, blessing, platform=flow.platform)
    promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert left_by(flow.platform) == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert version.run_id == model.run_id


def test_a_registration_that_was_killed_leaves_one_version_which_its_retry_finds(flow: Flow):
    model = flow.train()
    blessing = flow.bless(model)
    _kill(flow.bench, "register", model, blessing, kill_after="create_version")
    assert left_by(flow.platform) == Left(versions=(1,), alias=None, journal=())
    version = register_model(model, blessing, platform=flow.platform)
    assert version.model_version == 1
    assert version.evidence_digest == blessing.evidence_digest
    promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert left_by(flow.platform) == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert runs_by_status(flow.platform) == {"FINISHED": 1}


def test_a_promotion_that_was_killed_before_the_alias_is_completed_by_its_retry_and_by_whoever_looks(flow: Flow):
    version, blessing = _registered(flow)
    promoted = Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    _kill(flow.bench, "promote", version, blessing, kill_before="set_alias")
    interrupted = left_by(flow.platform)
    assert interrupted == replace(promoted, alias=None)
    assert current_champion("small", platform=flow.platform).model_version == 1
    assert left_by(flow.platform) == promoted
    MlflowClient(flow.platform.mlflow.tracking_uri).delete_registered_model_alias("small", "champion")
    flow.platform.storage.path("journals", "small", "000001.settled").unlink()
    assert left_by(flow.platform) == interrupted
    record = promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert (record.sequence, record.run_id) == (1, "the run")
    assert left_by(flow.platform) == promoted


def test_a_promotion_that_was_killed_after_the_alias_is_finished_by_its_retry(flow: Flow):
    version, blessing = _registered(flow)
    _kill(flow.bench, "promote", version, blessing, kill_after="set_alias")
    record = promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert (record.sequence, record.run_id) == (1, "the run")
    assert left_by(flow.platform) == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    tracked = MlflowClient(flow.platform.mlflow.tracking_uri).get_run(version.run_id)
    assert tracked.data.tags["mlops.outcome"] == "PROMOTED"
