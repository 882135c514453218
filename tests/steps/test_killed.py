"""A worker that dies without a word, and the retry of the same task in the same run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from mlflow import MlflowClient

from airflow_mlops.core.values import Value
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.evaluation.evaluate import evaluate_model
from airflow_mlops.steps.gate.bless import bless_model
from airflow_mlops.steps.maintenance.verify import verify_model
from airflow_mlops.steps.promotion.promote import promote_model, register_model, rollback_model
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.conftest import REPOSITORY
from tests.steps import trainers
from tests.steps.cases import Bench, Left, left_by, run_named, runs_by_status

CHILD = """
import json, os, signal, sys

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import AppendOnlyLog, Storage
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs import TrainingSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.promotion import card
from airflow_mlops.steps.promotion.promote import promote_model, register_model, rollback_model
from airflow_mlops.steps.registry import models
from airflow_mlops.steps.training.train import train_model


def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment):
    when, _, name = moment.partition(" ")
    owner = Mlflow if hasattr(Mlflow, name) else AppendOnlyLog
    real = getattr(owner, name)

    def call_and_die(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        kill()

    setattr(owner, name, call_and_die)


def work(task):
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    if task["moment"]:
        arm(task["moment"])
    platform = Platform(Storage(task["storage"]), Mlflow(task["tracking_uri"]))
    run = PipelineRun.from_dict(task["run"])
    values = task["values"]
    if task["step"] == "train":
        split, training = DatasetSplit.from_dict(values[0]), TrainingSpec.parse(task["training"])
        train_model(split, training, model_name="small", platform=platform, run=run)
    elif task["step"] == "register":
        register_model(TrainedModel.from_dict(values[0]), Blessing.from_dict(values[1]), platform=platform)
    elif task["step"] == "rollback":
        rollback_model("small", reason="strange", platform=platform, run=run)
    else:
        promote_model(ModelVersion.from_dict(values[0]), Blessing.from_dict(values[1]), platform=platform, run=run)


for line in sys.stdin:  # everything is imported once, and each task has a process of its own
    child = os.fork()
    if not child:
        work(json.loads(line))
        os._exit(0)
    print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)
"""

RUN = run_named("the run")


@pytest.fixture(scope="module")
def workers() -> Iterator[subprocess.Popen[str]]:
    """A process whose forks do one task each."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, env=environment, text=True) as process:
        yield process
        process.stdin.close()


def _kill(flow: Flow, step: str, *values: Value, moment: str = "", kill_in_training: bool = False) -> None:
    """Run a step in a child process that dies by SIGKILL on the way."""
    task: dict[str, Any] = {
        "step": step,
        "moment": moment,
        "folder": str(Path.cwd()),
        "environment": {trainers.KILL_IN_TRAINING: "1"} if kill_in_training else {},
        "storage": str(flow.platform.storage.root),
        "tracking_uri": flow.platform.mlflow.tracking_uri,
        "run": RUN.to_dict(),
        "values": [value.to_dict() for value in values],
        "training": flow.spec.training.model_dump(mode="json"),
    }
    flow.workers.stdin.write(json.dumps(task) + "\n")
    flow.workers.stdin.flush()
    assert json.loads(flow.workers.stdout.readline()) == -signal.SIGKILL


def _spec(bench: Bench) -> Any:
    return bench.spec(training={"estimator": None, "function": trainers.kills_itself_if_asked, "params": {}})


class Flow:
    """The steps of one run, each of them repeatable."""

    def __init__(self, bench: Bench, workers: subprocess.Popen[str]) -> None:
        self.bench, self.spec, self.platform, self.workers = bench, _spec(bench), bench.platform, workers
        snapshot = snapshot_dataset(self.spec.data, dataset="small", storage=self.platform.storage)
        self.split = split_dataset(snapshot, self.spec.data, self.spec.split, storage=self.platform.storage)

    def train(self) -> Any:
        return train_model(self.split, self.spec.training, model_name="small", platform=self.platform, run=RUN)

    def bless(self, model: Any) -> Any:
        report = evaluate_model(model, self.split, self.spec.gate, platform=self.platform, run=RUN)
        return bless_model(report, self.spec.gate, model, platform=self.platform, run=RUN)


@pytest.fixture
def flow(delivered: Bench, workers: subprocess.Popen[str]) -> Flow:
    return Flow(delivered, workers)


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
        pytest.param({"moment": "after log_training"}, id="after the model was logged"),
    ],
)
def test_a_training_that_was_killed_is_done_once_by_its_retry(flow: Flow, moment: dict[str, Any]):
    _kill(flow, "train", flow.split, **moment)
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
    _kill(flow, "register", model, blessing, moment="after create_version")
    assert left_by(flow.platform) == Left(versions=(1,), alias=None, journal=())
    version = register_model(model, blessing, platform=flow.platform)
    assert version.model_version == 1
    assert version.evidence_digest == blessing.evidence_digest
    promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert left_by(flow.platform) == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert runs_by_status(flow.platform) == {"FINISHED": 1}


MOMENTS = {  # in order, and whether the entry is there, the alias has moved, the registry knows of the entry
    "before append": (False, False, False),
    "after append": (True, False, False),
    "before set_alias": (True, False, False),
    "after set_alias": (True, True, False),
    "after set_last_entry": (True, True, True),
    "before settle": (True, True, True),
    "after settle": (True, True, True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_promotion_that_was_killed_is_completed_by_its_retry_and_by_whoever_looks(flow: Flow, moment: str):
    version, blessing = _registered(flow)
    has_entry, has_alias, is_known = MOMENTS[moment]
    promoted = Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    _kill(flow, "promote", version, blessing, moment=moment)
    left = left_by(flow.platform)
    assert (left.journal, left.alias) == (promoted.journal if has_entry else (), 1 if has_alias else None)
    assert bool(flow.platform.mlflow.get_pointers("small")[1]) == is_known
    if has_entry:
        champion = current_champion("small", platform=flow.platform)
        assert champion is not None
        assert left_by(flow.platform) == promoted
    record = promote_model(version, blessing, platform=flow.platform, run=RUN)
    assert (record.sequence, record.run_id) == (1, "the run")
    assert left_by(flow.platform) == promoted
    assert all(check.is_good for check in verify_model("small", platform=flow.platform).checks)
    tracked = MlflowClient(flow.platform.mlflow.tracking_uri).get_run(version.run_id)
    assert tracked.data.tags["mlops.outcome"] == "PROMOTED"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rollback_that_was_killed_is_completed_by_its_retry(
    two_versions: Bench, workers: subprocess.Popen[str], moment: str
):
    flow = Flow(two_versions, workers)
    has_entry, has_alias, _ = MOMENTS[moment]
    before = left_by(flow.platform)
    entry = ("rollback", 2, 1)
    _kill(flow, "rollback", moment=moment)
    left = left_by(flow.platform)
    assert left.journal == ((*before.journal, entry) if has_entry else before.journal)
    assert left.alias == (1 if has_alias else 2)
    record = rollback_model("small", reason="strange", platform=flow.platform, run=RUN)
    assert (record.sequence, record.run_id) == (3, "the run")
    assert left_by(flow.platform) == replace(before, alias=1, journal=(*before.journal, entry))
    assert rollback_model("small", reason="strange", platform=flow.platform, run=RUN) == record
