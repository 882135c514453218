"""The monitoring DAG looks at production, and its alert starts the training, which answers it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.steps.registry.ledger import read_alerts, read_decisions
from tests.operators.conftest import House, load_dag_file
from tests.operators.test_asset_events import asset_events, queued_dags
from tests.steps.cases import Bench, small_frame, small_settings
from tests.steps.drift_cases import Log, asked

ALERT = "mlmodel://small/alert"
PERFORMANCE = {
    "label": "y",
    "id": "id",
    "maturity": "P1D",
    "metrics": {"mean_absolute_error": {}},
}


@pytest.fixture
def log(bench: Bench) -> Log:
    """Version 1 is champion, and has been asked nothing yet."""
    assert bench.run("first").promotion is not None
    return Log(bench)


def answer(log: Log, shift: float) -> None:
    rows = asked(400, shift)
    log.write(rows, 2 * rows["x"], at=datetime.now(UTC) - timedelta(seconds=1))


def pipeline_of(house: House, **changes: Any) -> ContinuousTraining:
    settings = small_settings(house.folder / "inbox") | {"triggers": [{"type": "drift"}]}
    return ContinuousTraining.parse(settings | {"retraining": {"when": "evidence"}} | changes)


def test_drift_is_an_event_that_starts_the_training_and_carries_the_evidence(house: House, bench: Bench, log: Log):
    pipeline, before = pipeline_of(house), len(asset_events(ALERT))
    bench.deliver(small_frame(80, start="2021-01-01", seed=1), "part-2.csv")
    scheduled = house.run(pipeline.dag())  # which also makes it known to Airflow
    assert (scheduled.state, scheduled.states["train"]) == ("success", "skipped")
    assert scheduled.result("decide")["reasons"][0]["rule"] == "no_alerts"

    answer(log, shift=3.0)
    watched = house.run(pipeline.monitoring_dag())
    assert (watched.state, watched.states["raise_alert"]) == ("success", "success")
    ((source, extra),) = asset_events(ALERT)[before:]
    alert = MonitoringDecision.from_dict(extra)
    assert source == "small_monitoring"
    assert (alert.kinds, alert.champion_version) == (("drift",), 1)
    assert alert.evidence[0].report_uri == watched.result("check_drift")["report_uri"]
    assert queued_dags() == ["small"]

    trained = house.run(pipeline.dag())
    assert trained.states["train"] == "success"
    decision = read_decisions("small", storage=bench.platform.storage)[-1]
    assert decision.answered_alerts == (alert.content_digest,)


def test_where_nothing_has_moved_there_is_no_event_and_the_ledger_says_so(house: House, bench: Bench, log: Log):
    before = len(asset_events(ALERT))
    answer(log, shift=0.0)
    watched = house.run(pipeline_of(house).monitoring_dag())
    assert (watched.state, watched.states["raise_alert"]) == ("success", "skipped")
    assert asset_events(ALERT)[before:] == []
    (entry,) = read_alerts("small", storage=bench.platform.storage)
    assert (entry.is_alert, entry.evidence[0].kind, entry.evidence[0].state) == (False, "drift", "STABLE")
    assert watched.xcoms["raise_alert", "_link_ReportLink"].endswith(entry.evidence[0].report_uri)


def test_a_check_that_fails_makes_the_run_red_and_keeps_no_other_from_its_alert(house: House, log: Log):
    answer(log, shift=3.0)
    labels = house.folder / "labels.csv"
    labels.write_text("day,truth\n2026-01-01,2.0\n")
    pipeline = pipeline_of(house, performance=PERFORMANCE | {"labels": {"path": str(labels)}})
    before = len(asset_events(ALERT))
    dag = pipeline.monitoring_dag(default_args={"retries": 0})
    watched = house.run(dag)
    assert (watched.state, watched.states) == (
        "failed",
        {
            "check_drift": "success",
            "check_performance": "failed",
            "raise_alert": "success",
            "checked": "upstream_failed",
        },
    )
    assert len(asset_events(ALERT)) == before + 1
    assert ("no_report", "performance") in [
        (each["rule"], each["subject"]) for each in watched.result("raise_alert")["reasons"]
    ]


def test_the_example_runs_before_there_is_a_champion_and_says_so(house: House):
    watched = house.run(load_dag_file("randhie").monitoring)
    assert (watched.state, watched.states["raise_alert"]) == ("success", "skipped")
    assert watched.result("check_drift")["status"] == "NO_REFERENCE"
    assert watched.result("raise_alert")["reasons"][0]["rule"] == "champion"


def test_a_check_whose_evidence_starts_nothing_is_noted_only(house: House, bench: Bench, log: Log):
    answer(log, shift=3.0)
    watched = house.run(pipeline_of(house, triggers=[]).monitoring_dag())
    assert watched.states["raise_alert"] == "skipped"
    (entry,) = read_alerts("small", storage=bench.platform.storage)
    assert [(each.kind, each.state) for each in entry.evidence] == [("drift", "DRIFTED")]
