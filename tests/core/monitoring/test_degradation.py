from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.monitoring.degradation import (
    decide_degradation,
    judge_clocks,
    judge_counts,
    judge_scores,
    tell_younger,
)
from airflow_mlops.core.monitoring.performance_report import (
    LabelCounts,
    MetricPerformance,
    PredictionCounts,
    SlicePerformance,
    WindowPerformance,
)
from airflow_mlops.core.monitoring.performance_report import PerformanceStatus as Status
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.specs import DatasetSpec, PerformanceSpec
from tests.core.reasons import only

START = datetime(2026, 1, 1, tzinfo=UTC)


def spec(**settings: Any) -> PerformanceSpec:
    known = {
        "labels": DatasetSpec(path="x.csv"),
        "label": "y",
        "id": "id",
        "maturity": "P7D",
        "metrics": {"accuracy": {}},
    }
    return PerformanceSpec(**known | settings)


def interval(low: float, high: float) -> Interval:
    return Interval(difference=(low + high) / 2, low=low, high=high)


def accuracy(**settings: Any) -> MetricPerformance:
    known = {
        "metric": "accuracy",
        "direction": "higher_is_better",
        "value": interval(0.7, 0.8),
        "at_blessing": 0.8,
        "against_blessing": interval(-0.1, 0.0),
    }
    return MetricPerformance(**known | settings)


GOOD = PredictionCounts(n_predictions=1000, n_failed=10, n_labelled=900)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, None),
        ({"n_predictions": 0, "n_failed": 0, "n_labelled": 0}, Status.NO_PREDICTIONS),
        ({"n_failed": 1000, "n_labelled": 0}, Status.NO_ANSWERS),
        ({"n_failed": 201, "n_labelled": 799}, Status.NO_ANSWERS),
        ({"n_early": 10}, Status.BAD_CLOCK),
        ({"n_early": 9}, None),
        ({"n_bad": 10}, Status.BAD_LABELS),
        ({"n_bad": 9}, None),
        ({"n_labelled": 0}, Status.NOT_ENOUGH_LABELS),
        ({"n_labelled": 791}, Status.NOT_ENOUGH_LABELS),
        ({"n_labelled": 792}, None),
        ({"n_predictions": 199, "n_failed": 0, "n_labelled": 199}, Status.NOT_ENOUGH_LABELS),
    ],
)
def test_a_window_that_can_not_be_judged_says_why(changes: dict[str, int], status: Status | None):
    counts = replace(GOOD, **changes)
    found = judge_counts(counts, spec())
    assert (found and found.verdict) == status
    assert 0 <= counts.coverage <= 1


@pytest.mark.parametrize(
    ("thresholds", "metric", "status"),
    [
        ({"change_threshold": 0.0}, accuracy(), Status.OK),
        ({"change_threshold": 0.0}, accuracy(against_blessing=interval(-0.1, -0.001)), Status.DEGRADED),
        ({"change_threshold": 0.05}, accuracy(against_blessing=interval(-0.1, -0.05)), Status.OK),
        ({"change_threshold": 0.05}, accuracy(against_blessing=interval(-0.1, -0.06)), Status.DEGRADED),
        ({"relative_change_threshold": 0.1}, accuracy(against_blessing=interval(-0.1, -0.079)), Status.OK),
        ({"relative_change_threshold": 0.1}, accuracy(against_blessing=interval(-0.1, -0.081)), Status.DEGRADED),
        ({"relative_change_threshold": 0.1}, accuracy(at_blessing=0.0), Status.UNDECIDED),
        ({"value_threshold": 0.75}, accuracy(), Status.OK),
        ({"value_threshold": 0.81}, accuracy(), Status.DEGRADED),
        ({}, accuracy(against_blessing=interval(float("nan"), float("nan"))), Status.UNDECIDED),
        ({}, accuracy(baseline=0.8, against_baseline=interval(-0.1, 0.1)), Status.OK),
        ({}, accuracy(baseline=0.9, against_baseline=interval(-0.2, -0.1)), Status.DEGRADED),
        ({"baseline_change_threshold": 0.1}, accuracy(baseline=0.9, against_baseline=interval(-0.2, -0.05)), Status.OK),
    ],
)
def test_a_window_is_worse_where_a_whole_interval_is_beyond_a_threshold(
    thresholds: dict[str, float], metric: MetricPerformance, status: Status
):
    found, reasons = judge_scores([metric], (), spec(metrics={"accuracy": thresholds}))
    assert found is status
    assert (reasons[0].verdict, reasons[0].subject) == (status, "accuracy")


def test_what_a_metric_was_held_against_is_kept_in_numbers():
    rules = spec(metrics={"accuracy": {"value_threshold": 0.75, "relative_change_threshold": 0.1}})
    metric = accuracy(baseline=0.9, against_baseline=interval(-0.2, -0.1))
    reasons = judge_scores([metric], (), rules)[1]
    found = {reason.rule: (reason.observed, reason.required, reason.interval) for reason in reasons}
    assert found == {
        "value_threshold": (0.75, 0.75, metric.value),
        "change": (-0.05, pytest.approx(0.08), metric.against_blessing),
        "baseline_change": (pytest.approx(-0.15), 0.0, metric.against_baseline),
    }
    assert reasons[0].rule == "baseline_change", "what decides comes first"
    assert only(reasons, "change").setting == "performance.metrics.accuracy.relative_change_threshold"
    assert only(reasons, "change").facts == {
        "value": 0.75,
        "low": 0.7,
        "high": 0.8,
        "at_blessing": 0.8,
        "threshold": 0.1,
    }
    assert only(reasons, "baseline_change").facts["baseline"] == 0.9
    (undecided,) = judge_scores(
        [accuracy(at_blessing=0.0)], (), spec(metrics={"accuracy": {"relative_change_threshold": 0.1}})
    )[1]
    assert (undecided.rule, undecided.required, undecided.facts["threshold"]) == ("no_margin", None, 0.1)


def test_of_errors_more_is_worse():
    thresholds = {"mean_absolute_error": {"value_threshold": 2.0, "change_threshold": 0.5}}
    error = replace(accuracy(), metric="mean_absolute_error", direction="lower_is_better", value=interval(1.0, 1.9))
    for against, status in ((interval(0.4, 1.0), Status.OK), (interval(0.6, 1.0), Status.DEGRADED)):
        assert judge_scores([replace(error, against_blessing=against)], (), spec(metrics=thresholds))[0] is status
    assert judge_scores([replace(error, value=interval(2.1, 3))], (), spec(metrics=thresholds))[0] is Status.DEGRADED


def test_a_second_metric_is_not_held_against_the_baseline_unless_it_is_asked_for():
    second = accuracy(metric="recall", baseline=1.0, against_baseline=interval(-0.5, -0.4))
    found = [accuracy(), second]
    assert judge_scores(found, (), spec(metrics={"accuracy": {}, "recall": {}}))[0] is Status.OK
    asked = spec(metrics={"accuracy": {}, "recall": {"baseline_change_threshold": 0.0}})
    assert judge_scores(found, (), asked)[0] is Status.DEGRADED


@pytest.mark.parametrize(("margin", "status"), [(None, Status.OK), (0.1, Status.OK), (0.05, Status.DEGRADED)])
def test_a_slice_is_judged_where_a_margin_is_given(margin: float | None, status: Status):
    part = SlicePerformance(name="a=1", n_rows=300, value=0.7, at_blessing=0.8, against_blessing=interval(-0.14, -0.06))
    rules = spec(slices={"columns": "a", "change_threshold": margin})
    found, reasons = judge_scores([accuracy()], [part], rules)
    assert found is status
    listed = [each for reason in reasons for each in reason.because]
    assert [each.subject for each in listed] == (["a=1"] if status is Status.DEGRADED else [])
    for each in listed:
        assert (each.observed, each.required, each.interval, each.n) == (-0.1, margin, part.against_blessing, 300)


BECAUSE = Reason(stage="monitoring", rule="no_predictions", observed=0, n=0)


def windows(*statuses: Status) -> list[WindowPerformance]:
    week = timedelta(days=7)
    return [
        WindowPerformance(start=START - back * week, end=START - (back - 1) * week, status=status, reasons=(BECAUSE,))
        for back, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((Status.OK, Status.OK, Status.OK), Status.OK),
        ((Status.OK, Status.DEGRADED, Status.OK), Status.OK),
        ((Status.DEGRADED, Status.OK, Status.OK), Status.SUSPECT),
        ((Status.DEGRADED, Status.NO_PREDICTIONS, Status.NO_PREDICTIONS), Status.SUSPECT),
        ((Status.DEGRADED, Status.OK, Status.DEGRADED), Status.DEGRADED),
        ((Status.NOT_ENOUGH_LABELS, Status.DEGRADED, Status.DEGRADED), Status.DEGRADED),
        ((Status.NOT_ENOUGH_LABELS, Status.OK, Status.OK), Status.NOT_ENOUGH_LABELS),
        ((Status.UNDECIDED, Status.DEGRADED, Status.OK), Status.UNDECIDED),
        ((Status.OK, Status.NO_PREDICTIONS, Status.NO_PREDICTIONS), Status.OK),
    ],
)
def test_a_model_is_degraded_in_n_of_m_windows_and_ok_only_by_the_newest(statuses: Any, expected: Status):
    status, reasons = decide_degradation(windows(*statuses), LabelCounts(n_rows=1), spec())
    assert status is expected
    n_worse = statuses.count(Status.DEGRADED)
    assert reasons[0] == Reason(
        stage="monitoring",
        rule="windows",
        verdict=expected,
        setting="performance.windows",
        observed=n_worse,
        required=2,
        n=3,
        facts={"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-08T00:00:00+00:00", "newest": statuses[0]},
    )
    assert reasons[1] == BECAUSE


def test_clocks_that_are_wrong_never_leave_an_ok_and_hide_no_degradation():
    clocks = judge_clocks(LabelCounts(n_rows=100, n_future=2), 3)
    assert [(reason.rule, reason.observed, reason.required, reason.n) for reason in clocks] == [
        ("future_predictions", 3, 0, 3),
        ("future_labels", 0.02, 0.01, 100),
    ]
    assert judge_clocks(LabelCounts(n_rows=100, n_future=1), 0) == ()
    for statuses, expected in (((Status.OK,) * 3, Status.BAD_CLOCK), ((Status.DEGRADED,) * 3, Status.DEGRADED)):
        status, reasons = decide_degradation(windows(*statuses), LabelCounts(n_rows=1), spec(), clocks=clocks)
        assert (status, reasons[:2]) == (expected, clocks)


def test_what_is_odd_about_the_labels_is_said():
    labels = LabelCounts(n_rows=9, n_null=1, n_repeated=2, n_changed=3, n_contradicting=4, n_unknown=5)
    said = decide_degradation(windows(Status.OK), labels, spec(known_at="at"))[1]
    assert [(reason.rule, reason.observed, reason.n) for reason in said[2:]] == [
        ("null_labels", 1, 9),
        ("repeated_labels", 2, 9),
        ("changed_labels", 3, 6),
        ("contradicting_labels", 4, 6),
        ("unknown_labels", 5, 6),
    ]
    assert only(said, "contradicting_labels").facts == {"known_at": "at"}
    assert decide_degradation(windows(Status.OK), LabelCounts(), spec())[1][-1].rule == "no_labels"


def test_contradicting_labels_are_counted_by_their_predictions_and_where_nothing_says_which_is_the_last_none_counts():
    labels = LabelCounts(n_rows=1488, n_repeated=744, n_contradicting=744)
    repeated, contradicting = decide_degradation(windows(Status.OK), labels, spec())[1][2:]
    assert (repeated.rule, repeated.observed, repeated.n) == ("repeated_labels", 744, 1488)
    assert (contradicting.rule, contradicting.observed, contradicting.n) == ("contradicting_labels", 744, 744)
    assert contradicting.facts == {"known_at": ""}


@pytest.mark.parametrize(
    ("maturity", "counts_from"),
    [("P0D", "2026-01-09 00:00"), ("P7D", "2026-01-16 00:00"), ("PT6H", "2026-01-09 06:00")],
)
def test_predictions_that_are_too_young_are_told_with_their_count_and_when_they_count(maturity: str, counts_from: str):
    rules = spec(maturity=maturity)
    none = judge_counts(PredictionCounts(), rules)
    assert none is not None
    assert (none.rule, none.verdict) == ("no_predictions", Status.NO_PREDICTIONS)
    younger = tell_younger(1067, START + timedelta(days=7, hours=9), rules)
    assert younger == Reason(
        stage="monitoring",
        rule="younger_predictions",
        setting="performance.maturity",
        n=1067,
        facts={
            "first": "2026-01-08T09:00:00+00:00",
            "counts_from": f"{counts_from.replace(' ', 'T')}:00+00:00",
            "maturity_s": rules.maturity.total_seconds(),
        },
    )
    for status, is_told in ((Status.NO_PREDICTIONS, True), (Status.OK, False)):
        said = decide_degradation(windows(status), LabelCounts(n_rows=1), rules, younger=younger)[1]
        assert (younger in said) is is_told
    assert (tell_younger(0, None, rules).rule, tell_younger(0, None, rules).n) == ("no_younger_predictions", 0)
