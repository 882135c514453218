from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.packaging.serving_check import (
    GOLDEN_ROWS,
    Answer,
    ServingCheck,
    ServingFootprint,
    ServingReport,
    equal_predictions,
    fault_of,
    judge_footprint,
    latency_quantiles,
)
from airflow_mlops.errors import ServingError
from airflow_mlops.specs import ServingCheckSpec

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)
EXACT = {"rtol": 0.0, "atol": 0.0}


def _check(name: str = GOLDEN_ROWS, **changes: object) -> ServingCheck:
    return dataclasses.replace(ServingCheck(name=name, passed=True, observed="o", expected="e"), **changes)


def _report(*checks: ServingCheck, **changes: object) -> ServingReport:
    report = ServingReport(
        model_name="small",
        model_uri="models:/m-1",
        model_digest="sha256:m",
        split_digest="sha256:s",
        settings_digest="sha256:t",
        env_manager="local",
        n_golden_rows=3,
        checks=checks,
        footprint=ServingFootprint(size_mb=0.1),
        report_uri="reports/small/r/serving.html",
    )
    return dataclasses.replace(report, **changes)


def _fault(
    own: list | None, served: list | None, *, status: int | None = 200, may_refuse: bool = True, problem: str = ""
):
    answer = Answer(status=status, predictions=None if served is None else np.asarray(served), problem=problem)
    expected = None if own is None else np.asarray(own)
    return fault_of(answer, expected, may_refuse=may_refuse, rtol=1e-6, atol=0.0)


@given(NUMBERS)
def test_numbers_are_equal_to_themselves_at_any_tolerance(numbers):
    values = np.array(numbers)
    assert equal_predictions(values, values, **EXACT).all()


@given(NUMBERS, st.floats(1e-3, 10))
def test_numbers_that_differ_by_more_than_the_tolerance_are_not_equal(numbers, tolerance):
    values = np.array(numbers)
    assert not equal_predictions(values, values + 2 * tolerance, rtol=0.0, atol=tolerance).any()
    assert equal_predictions(values, values + tolerance / 2, rtol=0.0, atol=tolerance).all()


def test_the_relative_tolerance_is_of_the_model_s_own_prediction():
    own, served = np.array([100.0, -100.0, 0.0]), np.array([101.0, -101.0, 1e-12])
    assert equal_predictions(own, served, rtol=0.01, atol=0.0).tolist() == [True, True, False]
    assert not equal_predictions(own, served, rtol=0.009, atol=0.0).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_finite_number_is_no_prediction(value):
    assert not equal_predictions(np.array([1.0]), np.array([value]), rtol=0.5, atol=1e9).any()
    assert not equal_predictions(np.array([np.nan]), np.array([np.nan]), rtol=0.5, atol=0.0).any()


@pytest.mark.parametrize(
    ("own", "served", "is_equal"),
    [
        (["a", "b"], ["a", "b"], [True, True]),
        (["a", "b"], ["a", "B"], [True, False]),
        ([1, 2], [1, 3], [True, False]),
        ([1_000_000, 2], [1_000_001, 2], [False, True]),
        ([True, False], [True, True], [True, False]),
        (["1", "2"], [1, 2], [False, False]),
        ([1.0, 2.0], [1, 2], [True, True]),
        ([1.0, 2.0], ["1.0", "2.0"], [False, False]),
        ([1.0, 2.0], [1.0, None], [True, False]),
    ],
)
def test_labels_are_equal_exactly_or_not_at_all(own, served, is_equal):
    assert equal_predictions(np.array(own), np.array(served), rtol=0.1, atol=0.1).tolist() == is_equal


def test_the_model_s_own_predictions_are_right():
    assert _fault([1.0, 2.0], [1.0, 2.0]) == ""
    assert _fault([1.0, 2.0], [[1.0], [2.0]], may_refuse=False) == ""


def test_a_refusal_is_right_only_where_it_may_be():
    assert _fault([1.0], None, status=400, problem="BAD_REQUEST") == ""
    assert _fault(None, None, status=500) == ""
    assert _fault([1.0], None, status=400, problem="BAD_REQUEST", may_refuse=False) == "HTTP status 400 BAD_REQUEST"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_fault(None, [1.0, 2.0]), "2 prediction(s) in place of an error"),
        (_fault([1.0, 2.0], [1.0, 2.1]), "1 of 2 prediction(s) that are not the model's own"),
        (_fault([1.0, 2.0], [1.0]), "The server gave predictions of shape (1,) for 2 rows"),
        (_fault([1.0], [float("nan")]), "The server predicted NaN or infinity for 1 of 1 rows"),
        (_fault([1.0], None, problem="without predictions"), "HTTP status 200 without predictions"),
        (_fault([1.0], None, status=307), "HTTP status 307"),
        (_fault(None, None, status=None, problem="within 30 s"), "no answer (within 30 s)"),
    ],
)
def test_everything_else_is_a_fault_which_is_named(fault, words):
    assert fault == words


@given(st.lists(st.floats(0, 60), min_size=1, max_size=50))
def test_quantiles_of_the_latency_are_measurements_and_do_not_depend_on_their_order(seconds):
    p50, p95 = latency_quantiles(seconds)
    assert (p50, p95) == latency_quantiles(seconds[::-1])
    assert p50 <= p95
    assert {p50, p95} <= {value * 1000 for value in seconds}


def test_of_no_request_there_is_no_latency():
    assert latency_quantiles([]) == (None, None)


def test_what_has_no_budget_is_not_judged():
    assert judge_footprint(ServingFootprint(memory_mb=1e6), ServingCheckSpec()) == ()


def test_a_budget_may_be_used_up_and_not_exceeded():
    serving = ServingCheckSpec(max_memory_mb=100, max_latency_p95_ms=20)
    checks = judge_footprint(ServingFootprint(memory_mb=100.0, latency_p95_ms=20.1), serving)
    assert [(check.name, check.passed) for check in checks] == [("latency_p95_ms", False), ("memory_mb", True)]
    assert str(checks[0]) == "latency_p95_ms: found 20.1, expected at most 20."


def test_what_could_not_be_measured_is_not_within_its_budget():
    (check,) = judge_footprint(ServingFootprint(), ServingCheckSpec(max_memory_mb=100))
    assert (check.passed, check.observed) == (False, "not measured")


def test_every_measured_figure_can_have_a_budget():
    names = [field.name for field in dataclasses.fields(ServingFootprint)]
    serving = ServingCheckSpec(**{f"max_{name}": 1.0 for name in names})
    assert [check.name for check in judge_footprint(ServingFootprint(), serving)] == names


def test_a_report_without_the_golden_rows_is_not_good():
    assert not _report().is_ok
    assert not _report(_check("null_value")).is_ok
    assert not _report(_check(is_judged=False, passed=False)).is_ok
    assert _report(_check()).is_ok


def test_one_failed_check_makes_a_report_bad_unless_it_is_allowed():
    assert not _report(_check(), _check("null_value", passed=False)).is_ok
    assert _report(_check(), _check("null_value", passed=False, is_judged=False)).is_ok


def test_a_bad_report_says_what_was_found_what_is_kept_and_what_to_do():
    bad = _report(
        _check(), _check("null_value", passed=False, observed="1 wrong", expected="none"), log_uri="reports/x.log"
    )
    with pytest.raises(ServingError) as caught:
        bad.require_ok()
    assert str(caught.value) == (
        "small: models:/m-1 does not serve as it must: 1 of 2 check(s) failed.\n"
        "  - null_value: found 1 wrong, expected none.\n"
        "The champion stays. Report: reports/small/r/serving.html, the server's log: reports/x.log. Mend the model or "
        "its environment, or the budgets and `allow` of the serving check."
    )
    _report(_check()).require_ok()


def test_a_long_list_of_failures_is_cut():
    with pytest.raises(ServingError, match="and 2 more"):
        _report(*[_check(f"c{number}", passed=False) for number in range(12)]).require_ok()


def test_a_report_survives_json():
    report = _report(_check(), footprint=ServingFootprint(start_s=3.5, latency_p95_ms=12.0))
    assert ServingReport.from_dict(report.to_dict()) == report
