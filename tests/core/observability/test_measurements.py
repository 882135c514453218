from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import pytest

from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.core.monitoring.drift_report import ColumnDrift, DriftStatus
from airflow_mlops.core.monitoring.performance_report import (
    PerformanceStatus,
)
from airflow_mlops.core.observability.measurements import measure
from airflow_mlops.core.observability.telemetry import MAX_COLUMNS, METRICS
from airflow_mlops.core.rollout.online_validation import RolloutVerdict
from airflow_mlops.core.validation.findings import Verdict
from airflow_mlops.core.values import PipelineRun, Value
from tests.core.value_cases import (
    ALERT,
    BLESSING,
    DECISION,
    DRIFT,
    EVALUATION,
    NOW,
    PERFORMANCE,
    PROMOTION,
    ROLLOUT,
    SNAPSHOT,
    VALIDATION,
    VALUES,
)


def taken(value: Value, *given: Value, now: datetime = NOW) -> dict[str, float]:
    """Return what is sent, by the name that has the tags in it."""
    return {each.flat_name.removeprefix("mlops."): each.value for each in measure(value, given=given, now=now)}


def test_every_metric_is_taken_from_some_value_and_has_its_tags_in_order():
    found = [each for value in VALUES for each in measure(value, given=[SNAPSHOT], now=NOW)]
    assert {each.metric.name for each in found} == METRICS.keys()
    for each in found:
        assert tuple(each.tags) == each.metric.tags
        assert METRICS[each.metric.name] is each.metric


def test_how_old_the_data_is_grows_while_nothing_new_comes():
    assert taken(SNAPSHOT)["data.age_seconds.co2"] == 2 * 3600
    assert taken(SNAPSHOT, now=NOW + timedelta(days=1))["data.age_seconds.co2"] == 26 * 3600
    assert taken(SNAPSHOT)["data.newest_row_timestamp_seconds.co2"] == (NOW - timedelta(hours=2)).timestamp()


def test_a_moment_without_a_zone_is_one_in_utc():
    naive = dataclasses.replace(SNAPSHOT, window_end=datetime.fromisoformat("2026-01-31T10:00:00"))
    assert taken(naive) == taken(SNAPSHOT)


def test_data_without_moments_has_no_age():
    assert taken(dataclasses.replace(SNAPSHOT, window_end=None)) == {"data.rows.co2": 300}


@pytest.mark.parametrize(
    ("value", "states", "found"),
    [
        (VALIDATION, [f"validation.verdict.co2.{each}" for each in Verdict], "validation.verdict.co2.QUARANTINE"),
        (
            DRIFT,
            [f"drift.status.co2.inference_log.{each}" for each in DriftStatus],
            "drift.status.co2.inference_log.DRIFTED",
        ),
        (
            PERFORMANCE,
            [f"performance.status.co2.{each}" for each in PerformanceStatus],
            "performance.status.co2.DEGRADED",
        ),
        (BLESSING, [f"gate.verdict.co2.{each}" for each in BlessingVerdict], "gate.verdict.co2.REJECTED"),
        (ROLLOUT, [f"rollout.verdict.co2.{each}" for each in RolloutVerdict], "rollout.verdict.co2.WATCHED"),
    ],
)
def test_each_state_has_a_gauge_and_the_one_that_was_found_is_1(value: Value, states: list[str], found: str):
    values = taken(value, SNAPSHOT)
    assert {name: values[name] for name in states} == {name: float(name == found) for name in states}


def test_a_validation_is_of_the_data_that_was_checked():
    found = taken(VALIDATION, dataclasses.replace(SNAPSHOT, dataset="other"))
    assert (found["validation.quarantined_rows.other"], found["validation.findings.other"]) == (7, 0)


def test_nobody_knows_of_which_data_a_validation_is_that_was_given_none():
    assert taken(VALIDATION) == {}


def test_the_distances_of_the_columns_that_drifted_most_are_taken_and_of_no_more():
    many = tuple(
        ColumnDrift(name=f"c{place}", statistics={"psi": 1.0 / (place + 1)}, is_drifted=place < 30)
        for place in range(50)
    )
    found = taken(dataclasses.replace(DRIFT, columns=many))
    distances = [name for name in found if name.startswith("drift.psi.")]
    assert distances == [f"drift.psi.co2.inference_log.c{place}" for place in range(MAX_COLUMNS)]
    assert found["drift.columns.co2.inference_log"] == 30


def test_what_is_no_number_is_not_sent_and_a_statistic_that_nobody_knows_neither():
    names = [name for name in taken(DRIFT) if name.endswith((".last_co2", ".month"))]
    assert names == [
        "drift.psi.co2.inference_log.last_co2",
        "drift.jensen_shannon.co2.inference_log.last_co2",
        "drift.wasserstein.co2.inference_log.last_co2",
    ]


def test_performance_is_that_of_the_newest_window_beside_the_blessing():
    found = taken(PERFORMANCE)
    assert found["performance.value.co2.mean_absolute_error"] == 0.7
    assert found["performance.at_blessing.co2.mean_absolute_error"] == 0.5
    assert found["performance.label_coverage.co2"] == 0.8


def test_an_evaluation_has_a_champion_only_where_there_is_one():
    assert taken(EVALUATION)["evaluation.value.co2.r2.champion"] == 0.8
    first = dataclasses.replace(EVALUATION.comparisons[0], champion=None)
    cold = taken(dataclasses.replace(EVALUATION, comparisons=(first,)))
    assert cold == {"evaluation.value.co2.r2.challenger": 0.9, "evaluation.value.co2.r2.baseline": -0.1}


def test_a_verdict_of_the_gate_has_what_its_rules_found_and_require_where_that_is_a_number():
    found = taken(BLESSING)
    numbers = {name: value for name, value in found.items() if name.startswith(("gate.observed", "gate.required"))}
    assert numbers == {"gate.observed.co2.value_threshold.r2": -0.2, "gate.required.co2.value_threshold.r2": 0.05}
    many = dataclasses.replace(BLESSING, reasons=BLESSING.reasons[:1] * 50)
    assert sum(each.metric.name == "mlops.gate.observed" for each in measure(many, now=NOW)) == MAX_COLUMNS


def test_a_decision_is_counted_by_what_it_was():
    assert taken(DECISION) == {"retrain.should_retrain.co2": 0, "retrain.decisions.co2.wait": 1}
    yes = dataclasses.replace(DECISION, should_retrain=True)
    assert taken(yes) == {"retrain.should_retrain.co2": 1, "retrain.decisions.co2.retrain": 1}


def test_an_alert_is_1_until_a_look_finds_nothing():
    assert taken(ALERT) == {"monitoring.alert.co2": 1}
    assert taken(dataclasses.replace(ALERT, kinds=())) == {"monitoring.alert.co2": 0}


def test_a_promotion_took_as_long_as_since_the_newest_row_that_was_learnt_from():
    assert taken(PROMOTION, SNAPSHOT)["champion.data_to_champion_seconds.co2"] == 2 * 3600
    undated = dataclasses.replace(SNAPSHOT, window_end=None)
    assert taken(PROMOTION, undated)["champion.data_to_champion_seconds.co2"] == 3600
    assert taken(PROMOTION) == {"champion.version.co2": 3, "champion.changes.co2.promote": 1}


def test_a_rollback_changes_the_champion_and_took_no_time_from_any_data():
    back = dataclasses.replace(PROMOTION, action="rollback", to_version=1)
    assert taken(back, SNAPSHOT) == {"champion.version.co2": 1, "champion.changes.co2.rollback": 1}


def test_a_value_without_numbers_sends_nothing():
    assert measure(PipelineRun(pipeline="p", run_id="r"), now=NOW) == []


def test_of_drift_that_nothing_was_compared_for_there_is_the_status_alone():
    report = dataclasses.replace(DRIFT, status=DriftStatus.STABLE, columns=(), domain_score=None)
    assert {name.split(".")[1] for name in taken(report)} == {"status"}
