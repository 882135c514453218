"""What starts a training, in a running Airflow: a person, the clock, new data, another DAG, performance and drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops.adapters.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.core.alarm import MonitoringDecision
from airflow_mlops.core.inference import Role
from airflow_mlops.core.retrain import RetrainDecision
from airflow_mlops.steps.journal import serving_version
from airflow_mlops.steps.ledger import read_alarms, read_decisions
from include.demo.api import AirflowApi
from include.demo.services import Demo, free_port, running
from tests.steps.cases import small_frame

pytestmark = pytest.mark.standalone

DAGS = """
from airflow.sdk import DAG, Asset, task

from airflow_mlops import ContinuousTraining

COMMON = {
    "validation": {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}]},
    "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.1}},
    "gate": {"metrics": {"mean_absolute_error": {}}, "cold_start": True},
    "serving": None,
}
loop = ContinuousTraining(
    model_name="loop",
    data={"path": "${AIRFLOW_HOME}/inbox/loop/*.csv", "timestamp": "day"},
    performance={
        "labels": {"path": "${AIRFLOW_HOME}/labels/*.csv"},
        "label": "label",
        "id": "id",
        "maturity": "P1D",
        "windows": {"n": 1, "of": 1},
        "metrics": {"mean_absolute_error": {"change_threshold": 0.1}},
    },
    retraining={"when": "evidence"},
    triggers=[
        {"type": "new_data", "poll_interval_s": 1},
        {"type": "asset", "name": "cleaned"},
        {"type": "drift"},
        {"type": "performance"},
    ],
    **COMMON,
)
training, monitoring = loop.dag(), loop.monitoring_dag()
timed = ContinuousTraining(
    model_name="timed",
    data={"path": "${AIRFLOW_HOME}/inbox/timed/*.csv", "timestamp": "day"},
    triggers=[{"type": "schedule", "cron": "* * * * *"}],
    **COMMON,
).dag(is_paused_upon_creation=True)

with DAG("feeder", schedule=None):

    @task(outlets=[Asset("cleaned")])
    def clean():
        pass

    clean()
"""


@dataclass(frozen=True)
class House:
    """A running Airflow, and what its pipelines leave."""

    demo: Demo
    api: AirflowApi

    @property
    def storage(self) -> Storage:
        return Storage(str(self.demo.storage))

    def deliver(self, frame: pd.DataFrame, name: str, folder: str = "loop") -> None:
        """Put a file into an inbox, whole."""
        inbox = self.demo.home / "inbox" / folder
        inbox.mkdir(parents=True, exist_ok=True)
        frame.to_csv(inbox / f".{name}", index=False)
        (inbox / f".{name}").rename(inbox / name)

    def wait(self, done: Callable[[], Any], what: str) -> None:
        self.demo.wait(lambda: bool(done()), what, 180)

    def next_run(self, dag_id: str, start: Callable[[], Any]) -> dict[str, Any]:
        """Do what starts a run, and return the run once it has ended."""
        known = {run["dag_run_id"] for run in self.api.runs(dag_id)}
        start()
        found: list[dict[str, Any]] = []

        def has_ended() -> bool:
            found[:] = [run for run in self.api.runs(dag_id) if run["dag_run_id"] not in known]
            return bool(found) and all(run["state"] in ("success", "failed") for run in found)

        self.wait(has_ended, f"A run of {dag_id}")
        assert [run["state"] for run in found] == ["success"], "one run, which ends well"
        return found[0]

    def decided(self, run: dict[str, Any]) -> RetrainDecision:
        """Return the decision of a run, as the ledger has it."""
        (mine,) = [
            entry for entry in read_decisions(run["dag_id"], storage=self.storage) if entry.run_id == run["dag_run_id"]
        ]
        return mine

    def log(self, frame: pd.DataFrame, *, at: datetime, version: int, predictions: Any) -> None:
        """Write the inference log as a server does."""
        table = log_table(
            pa.Table.from_pandas(frame, preserve_index=False),
            ids=[f"{at:%d}-{place}" for place in range(len(frame))],
            request_id="r",
            at=at,
            model_digest="sha256:m",
            model_version=version,
            role=Role.CHAMPION,
            predictions=np.asarray(predictions),
        )
        InferenceLog(self.storage.path("inference", "loop")).write(table, at=at)

    def label(self, frame: pd.DataFrame, *, at: datetime, slope: float) -> None:
        """Deliver the truth for what was asked at a moment."""
        labels = self.demo.home / "labels"
        labels.mkdir(exist_ok=True)
        ids = [f"{at:%d}-{place}" for place in range(len(frame))]
        pd.DataFrame({"id": ids, "label": slope * frame["x"]}).to_csv(labels / "labels.csv", index=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("triggers")
    (folder / "dags").mkdir()
    (folder / "dags" / "loops.py").write_text(DAGS)
    demo = Demo(folder / "demo", airflow_port=free_port(), mlflow_port=free_port(), dags=folder / "dags")
    with running(demo, lambda _: None):
        api = AirflowApi(demo)
        known = ("loop", "loop_monitoring", "feeder")
        demo.wait(lambda: all(api.has_dag(dag_id) for dag_id in known), "The DAGs", 120)
        yield House(demo, api)


@pytest.fixture(scope="module")
def first(house: House) -> dict[str, Any]:
    """The run that new data has started: the first champion."""
    return house.next_run("loop", lambda: house.deliver(small_frame(), "part-1.csv"))


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    """Rows like those that were learnt from."""
    return pd.DataFrame({"x": np.random.default_rng(7).normal(size=400)})


def test_new_data_starts_it(house: House, first: dict[str, Any]):
    decision = house.decided(first)
    assert (first["run_type"], decision.trigger) == ("asset_triggered", "new_data")
    assert decision.should_retrain
    assert serving_version("loop", storage=house.storage) == 1


def test_a_person_starts_it_by_the_trigger_form(house: House, first: dict[str, Any]):
    run = house.next_run("loop", lambda: house.api.trigger("loop", {"force": True, "promotion": "hold"}))
    decision = house.decided(run)
    assert (decision.trigger, decision.reasons[0]) == ("manual", "Forced by the run's parameters.")


def test_another_dag_starts_it_by_an_asset(house: House, first: dict[str, Any]):
    run = house.next_run("loop", lambda: house.api.trigger("feeder", {}))
    decision = house.decided(run)
    assert (decision.trigger, decision.should_retrain) == ("cleaned", False)
    assert decision.reasons[0].startswith("Nothing new")


def test_a_champion_that_became_worse_starts_it(house: House, first: dict[str, Any], asked: pd.DataFrame):
    house.next_run("loop", lambda: house.deliver(small_frame(60, start="2021-01-01", seed=1), "part-2.csv"))
    at = datetime.now(UTC) - timedelta(days=3)
    house.log(asked, at=at, version=1, predictions=2 * asked["x"])
    house.label(asked, at=at, slope=-2.0)
    run = house.next_run("loop", lambda: house.api.trigger("loop_monitoring", {}))
    alarm = _answered(house, run)
    assert alarm.kinds == ("performance",)
    assert alarm.evidence["performance"] == "DEGRADED"
    assert house.decided(run).trigger == "performance"
    house.label(asked, at=at, slope=2.0)  # it was the labels that were wrong


def test_what_has_drifted_starts_it_and_is_named_in_mlflow(house: House, first: dict[str, Any], asked: pd.DataFrame):
    from mlflow import MlflowClient

    house.next_run("loop", lambda: house.deliver(small_frame(60, start="2021-04-01", seed=2), "part-3.csv"))
    champion = serving_version("loop", storage=house.storage)
    assert champion is not None
    moved = asked + 3
    house.log(moved, at=datetime.now(UTC), version=champion, predictions=2 * moved["x"])
    run = house.next_run("loop", lambda: house.api.trigger("loop_monitoring", {}))
    alarm = _answered(house, run)
    assert (alarm.kinds, house.decided(run).trigger) == (("drift",), "drift")
    client = MlflowClient(house.demo.mlflow_url)
    experiment = client.get_experiment_by_name("loop")
    assert experiment is not None
    (trained,) = client.search_runs(
        [experiment.experiment_id], f"tags.`mlops.pipeline_run` = '{run['dag_run_id']}' and tags.`mlops.trigger` != ''"
    )
    assert trained.data.tags["mlops.trigger"] == "drift"


def test_the_clock_starts_it(house: House):
    house.deliver(small_frame(), "part-1.csv", "timed")
    house.wait(lambda: _is_known(house, "timed"), "The DAG")
    known = {run["dag_run_id"] for run in house.api.runs("timed")}
    _pause(house, "timed", is_paused=False)
    house.wait(lambda: {run["dag_run_id"] for run in house.api.runs("timed")} - known, "A scheduled run")
    house.wait(lambda: read_decisions("timed", storage=house.storage), "Its decision")
    decision = read_decisions("timed", storage=house.storage)[0]
    assert (decision.trigger, decision.should_retrain) == ("scheduled", True)
    _pause(house, "timed", is_paused=True)


def _answered(house: House, run: dict[str, Any]) -> MonitoringDecision:
    """Return the alarm that a run answered, having seen that it is the newest one, and trained because of it."""
    decision = house.decided(run)
    alarm = read_alarms("loop", storage=house.storage)[-1]
    assert decision.alarms == (alarm.content_digest,)
    assert decision.should_retrain
    assert decision.reasons[0].startswith("Alarm of the monitoring at ")
    consumed = house.api.get(f"/dags/loop/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    assert [event["extra"]["run_id"] for event in consumed] == [alarm.run_id]
    return alarm


def _is_known(house: House, dag_id: str) -> bool:
    return dag_id in {dag["dag_id"] for dag in house.api.get("/dags?limit=100")["dags"]}


def _pause(house: House, dag_id: str, *, is_paused: bool) -> None:
    house.api.patch(f"/dags/{dag_id}", {"is_paused": is_paused})
