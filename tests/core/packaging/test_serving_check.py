from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.packaging.serving_check import (
    GOLDEN_ROWS,
    Answer,
    AnswerFault,
    ServingCheck,
    ServingCheckReport,
    ServingFootprint,
    equal_predictions,
    fault_of,
    judge_answers,
    judge_footprint,
    judge_start,
    latency_quantiles,
)
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError, ServingCheckError
from airflow_mlops.specs import ServingCheckSpec

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)
EXACT = {"rtol": 0.0, "atol": 0.0}


RIGHT = Answer(status=200, predictions=np.ones(3))
WRONG = AnswerFault(kind="other", status=200, n_wrong=1, n_rows=3)


def _check(name: str = GOLDEN_ROWS, *, passed: bool = True, is_judged: bool = True) -> ServingCheck:
    return judge_answers(name, [RIGHT], None if passed else WRONG, expected="predictions", is_judged=is_judged)


def _report(*checks: ServingCheck, **changes: object) -> ServingCheckReport:
    report = ServingCheckReport(
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
    assert _fault([1.0, 2.0], [1.0, 2.0]) is None
    assert _fault([1.0, 2.0], [[1.0], [2.0]], may_refuse=False) is None


def test_a_refusal_is_right_only_where_it_may_be():
    assert _fault([1.0], None, status=400, problem="BAD_REQUEST") is None
    assert _fault(None, None, status=500) is None
    assert _fault([1.0], None, status=400, problem="BAD_REQUEST", may_refuse=False) == AnswerFault(
        kind="status", status=400, problem="BAD_REQUEST", n_rows=1
    )


@pytest.mark.parametrize(
    ("fault", "kind", "known"),
    [
        (_fault(None, [1.0, 2.0]), "accepted", {"status": 200, "n_wrong": 2}),
        (_fault([1.0, 2.0], [1.0, 2.1]), "other", {"status": 200, "n_wrong": 1, "n_rows": 2}),
        (
            _fault([1.0, 2.0], [1.0]),
            "malformed",
            {"status": 200, "problem": "The server gave predictions of shape (1,) for 2 rows", "n_rows": 2},
        ),
        (
            _fault([1.0], [float("nan")]),
            "malformed",
            {"status": 200, "problem": "The server predicted NaN or infinity for 1 of 1 rows", "n_rows": 1},
        ),
        (
            _fault([1.0], None, problem="without predictions"),
            "status",
            {"status": 200, "problem": "without predictions", "n_rows": 1},
        ),
        (_fault([1.0], None, status=307), "status", {"status": 307, "n_rows": 1}),
        (_fault(None, None, status=None, problem="within 30 s"), "no_answer", {"problem": "within 30 s"}),
    ],
)
def test_everything_else_is_a_fault_which_is_named(fault, kind, known):
    assert fault == AnswerFault(kind=kind, **known)


def test_requests_are_a_check_with_their_number_and_what_was_wrong_with_the_last():
    refused = Answer(status=400, problem="BAD_REQUEST")
    good = judge_answers("null_value", [RIGHT, refused], None, expected="predictions_or_error", column="x")
    assert (good.name, good.passed, good.is_judged) == ("null_value", True, True)
    assert (good.found.observed, good.found.required, good.found.n) == (0, 0, 2)
    assert good.found.facts == {"expected": "predictions_or_error", "n_refused": 1, "fault": None, "column": ""}
    bad = judge_answers("null_value", [RIGHT, RIGHT], WRONG, expected="predictions", column="x", is_judged=False)
    assert (bad.name, bad.passed, bad.is_judged) == ("null_value", False, False)
    assert (bad.found.observed, bad.found.required, bad.found.n) == (1, 0, 2)
    assert bad.found.facts["fault"] == dataclasses.asdict(WRONG)
    assert bad.found.facts["column"] == "x"


def test_a_start_is_in_time_or_has_a_problem():
    good = judge_start(3.21, timeout_s=120.0)
    assert (good.name, good.passed, good.found.observed, good.found.required) == ("start", True, 3.21, 120.0)
    bad = judge_start(None, timeout_s=120.0, problem="it ended with code 1")
    assert (bad.name, bad.passed, bad.found.observed, bad.found.required) == ("start", False, None, 120.0)
    assert bad.found.facts == {"problem": "it ended with code 1"}


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
    found = checks[0].found
    assert (found.rule, found.verdict, found.setting) == ("budget", "FAILED", "serving_check.max_latency_p95_ms")
    assert (found.observed, found.required) == (20.1, 20.0)


def test_what_could_not_be_measured_is_not_within_its_budget():
    (check,) = judge_footprint(ServingFootprint(), ServingCheckSpec(max_memory_mb=100))
    assert (check.passed, check.found.observed, check.found.required) == (False, None, 100.0)


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
    bad = _report(_check(), _check("null_value", passed=False), log_uri="reports/x.log")
    with pytest.raises(ServingCheckError) as caught:
        bad.require_ok()
    assert str(caught.value) == (
        "small: models:/m-1 does not serve as it must: 1 of 2 check(s) failed.\n"
        "  - null_value: found 1 of 3 prediction(s) that are not the model's own, expected the model's own "
        "predictions.\n"
        "The champion stays. Report: reports/small/r/serving.html, the server's log: reports/x.log. Fix the model or "
        "its environment, or the budgets and `allow` of the serving check."
    )
    _report(_check()).require_ok()


def test_a_long_list_of_failures_is_cut():
    with pytest.raises(ServingCheckError, match="and 2 more"):
        _report(*[_check(f"c{number}", passed=False) for number in range(12)]).require_ok()


def test_a_report_survives_json():
    report = _report(_check(), footprint=ServingFootprint(start_s=3.5, latency_p95_ms=12.0))
    assert ServingCheckReport.from_dict(report.to_dict()) == report


def test_a_report_of_version_1_keeps_what_it_found_and_its_digest():
    checks = [
        {"name": GOLDEN_ROWS, "passed": True, "observed": "3 of 3 alike", "expected": "all alike", "is_judged": True},
        {"name": "start", "passed": False, "observed": "no answer", "expected": "an answer within 9 s"},
    ]
    old = {**_report(_check()).to_dict(), "schema_version": 1, "checks": checks}
    report = ServingCheckReport.from_dict(old)
    assert [(check.name, check.passed, check.is_judged) for check in report.checks] == [
        (GOLDEN_ROWS, True, True),
        ("start", False, True),
    ]
    assert str(report.checks[1]) == "start: found no answer, expected an answer within 9 s."
    assert report.reasons == (report.checks[1].found,)
    assert report.content_digest == digest_of(old)


@pytest.mark.parametrize("checks", [None, "x", [None], [{"name": "start"}]])
def test_a_report_of_version_1_without_proper_checks_is_damaged(checks: object):
    old = {**_report(_check()).to_dict(), "schema_version": 1, "checks": checks}
    with pytest.raises(IntegrityError, match="ServingCheckReport: the document is damaged"):
        ServingCheckReport.from_dict(old)
