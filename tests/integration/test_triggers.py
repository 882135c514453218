"""What starts a training, in a running Airflow: a person, the clock, new data, another DAG, performance and drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.steps.registry.journal import champion_version_of
from airflow_mlops.steps.registry.ledger import read_alerts, read_decisions
from tests.integration.house import House
from tests.steps.cases import small_frame

DAGS = """
from airflow.sdk import DAG, Asset, task

from airflow_mlops import ContinuousTraining

COMMON = {
    "validation": {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}]},
    "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.1}},
    "gate": {"metrics": {"mean_absolute_error": {}}, "cold_start": True},
    "serving_check": None,
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


@pytest.fixture(scope="module", autouse=True)
def pipelines(house: House) -> None:
    house.add_dags("loops", DAGS, wait_for=("loop", "loop_monitoring", "feeder"))


@pytest.fixture(scope="module")
def first(house: House) -> dict[str, Any]:
    """The run that new data has started: the first champion."""
    return house.next_run("loop", lambda: house.deliver(small_frame(), "loop/part-1.csv"))


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    """Rows like those that were trained on."""
    return pd.DataFrame({"x": np.random.default_rng(7).normal(size=400)})


def test_new_data_starts_it(house: House, first: dict[str, Any]):
    decision = house.decided(first)
    assert (first["run_type"], decision.trigger) == ("asset_triggered", "new_data")
    assert decision.should_retrain
    assert champion_version_of("loop", storage=house.storage) == 1


def test_a_person_starts_it_by_the_trigger_form(house: House, first: dict[str, Any]):
    run = house.next_run("loop", lambda: house.api.trigger("loop", {"force": True, "promotion": "hold"}))
    decision = house.decided(run)
    assert (decision.trigger, decision.reasons[0].rule) == ("manual", "forced")


def test_another_dag_starts_it_by_an_asset(house: House, first: dict[str, Any]):
    run = house.next_run("loop", lambda: house.api.trigger("feeder", {}))
    decision = house.decided(run)
    assert (decision.trigger, decision.should_retrain) == ("cleaned", False)
    assert decision.reasons[0].rule == "nothing_new"


def test_a_champion_that_became_worse_starts_it(house: House, first: dict[str, Any], asked: pd.DataFrame):
    house.next_run("loop", lambda: house.deliver(small_frame(60, start="2021-01-01", seed=1), "loop/part-2.csv"))
    at = datetime.now(UTC) - timedelta(days=3)
    house.log(asked, at=at, version=1, predictions=2 * asked["x"])
    house.label(asked, at=at, slope=-2.0)
    run = house.next_run("loop", lambda: house.api.trigger("loop_monitoring", {}))
    alert = _answered(house, run)
    assert alert.kinds == ("performance",)
    assert {each.kind: each.state for each in alert.evidence}["performance"] == "DEGRADED"
    assert house.decided(run).trigger == "performance"
    house.label(asked, at=at, slope=2.0)  # it was the labels that were wrong


def test_what_has_drifted_starts_it_and_is_named_in_mlflow(house: House, first: dict[str, Any], asked: pd.DataFrame):
    from mlflow import MlflowClient

    house.next_run("loop", lambda: house.deliver(small_frame(60, start="2021-04-01", seed=2), "loop/part-3.csv"))
    champion = champion_version_of("loop", storage=house.storage)
    assert champion is not None
    moved = asked + 3
    house.log(moved, at=datetime.now(UTC), version=champion, predictions=2 * moved["x"])
    run = house.next_run("loop", lambda: house.api.trigger("loop_monitoring", {}))
    alert = _answered(house, run)
    assert (alert.kinds, house.decided(run).trigger) == (("drift",), "drift")
    client = MlflowClient(house.demo.mlflow_url)
    experiment = client.get_experiment_by_name("loop")
    assert experiment is not None
    (trained,) = client.search_runs(
        [experiment.experiment_id], f"tags.`mlops.pipeline_run` = '{run['dag_run_id']}' and tags.`mlops.trigger` != ''"
    )
    assert trained.data.tags["mlops.trigger"] == "drift"


def test_the_clock_starts_it(house: House):
    house.deliver(small_frame(), "timed/part-1.csv")
    house.wait(lambda: house.is_known("timed"), "The DAG")
    known = {run["dag_run_id"] for run in house.api.runs("timed")}
    house.pause("timed", is_paused=False)
    house.wait(lambda: {run["dag_run_id"] for run in house.api.runs("timed")} - known, "A scheduled run")
    house.wait(lambda: read_decisions("timed", storage=house.storage), "Its decision")
    decision = read_decisions("timed", storage=house.storage)[0]
    assert (decision.trigger, decision.should_retrain) == ("scheduled", True)
    house.pause("timed", is_paused=True)


def _answered(house: House, run: dict[str, Any]) -> MonitoringDecision:
    """Return the alert that a run answered, having seen that it is the newest one, and trained because of it."""
    decision = house.decided(run)
    alert = read_alerts("loop", storage=house.storage)[-1]
    assert decision.answered_alerts == (alert.content_digest,)
    assert decision.should_retrain
    assert decision.reasons[0].source == "alert"
    consumed = house.api.get(f"/dags/loop/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    assert [event["extra"]["run_id"] for event in consumed] == [alert.run_id]
    return alert
