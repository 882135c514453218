from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops.core.packaging.conversion import ConversionStatus, Parity, judge_parity, not_converted
from airflow_mlops.core.packaging.serving_check import (
    Answer,
    AnswerFault,
    ServingCheck,
    ServingFootprint,
    judge_answers,
    judge_footprint,
    judge_start,
)
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import sentence_of, sentences_of
from airflow_mlops.core.wording.packaging import found_and_expected
from airflow_mlops.specs import ServingCheckSpec

RIGHT, REFUSED = Answer(status=200, predictions=np.ones(2)), Answer(status=400)


def _wrong(column: str = "", expected: str = "predictions", **fault: object) -> ServingCheck:
    return judge_answers("null_value", [RIGHT], AnswerFault(**fault), expected=expected, column=column)


@pytest.mark.parametrize(
    ("check", "found", "expected"),
    [
        (
            judge_answers("x", [RIGHT, RIGHT, REFUSED], None, expected="predictions_or_error"),
            "2 request(s) answered rightly, 1 refused",
            "the model's own predictions, or an error status",
        ),
        (
            _wrong(kind="no_answer", problem="within 30 s"),
            "no answer (within 30 s)",
            "the model's own predictions",
        ),
        (
            _wrong(kind="status", status=400, problem="BAD_REQUEST"),
            "HTTP status 400 BAD_REQUEST",
            "the model's own predictions",
        ),
        (_wrong(kind="status", status=307), "HTTP status 307", "the model's own predictions"),
        (
            _wrong("age", "error", kind="accepted", status=200, n_wrong=2),
            "2 prediction(s) in place of an error (column 'age')",
            "an error status",
        ),
        (
            _wrong(kind="malformed", problem="The server gave predictions of shape (1,) for 2 rows"),
            "The server gave predictions of shape (1,) for 2 rows",
            "the model's own predictions",
        ),
        (
            _wrong("{age}", kind="other", n_wrong=1, n_rows=2),
            "1 of 2 prediction(s) that are not the model's own (column '{age}')",
            "the model's own predictions",
        ),
        (judge_start(3.21, timeout_s=120.0), "3.2 s", "an answer within 120 s"),
        (judge_start(None, timeout_s=9.5, problem="it ended"), "it ended", "an answer within 9.5 s"),
        (
            *judge_footprint(ServingFootprint(memory_mb=1234.56), ServingCheckSpec(max_memory_mb=100)),
            "1235",
            "at most 100",
        ),
        (*judge_footprint(ServingFootprint(), ServingCheckSpec(max_start_s=0.5)), "not measured", "at most 0.5"),
    ],
)
def test_a_check_of_the_serving_says_what_was_found_and_what_was_expected(
    check: ServingCheck, found: str, expected: str
):
    assert found_and_expected(check.found) == (found, expected)
    assert str(check) == f"{check.name}: found {found}, expected {expected}."


def test_a_check_of_version_1_is_shown_as_it_was_written():
    old = Reason(
        stage="packaging", rule="recorded", subject="start", observed="3 s", required="9 s", recorded="start: ok."
    )
    assert found_and_expected(old) == ("3 s", "9 s")
    assert sentence_of(old) == "start: ok."


@pytest.mark.parametrize(
    ("parity", "sentences"),
    [
        (Parity(n_rows=0, n_label_mismatches=0, n_beyond=0, max_difference=0.0), ("There was no row to compare on.",)),
        (
            Parity(n_rows=100, n_label_mismatches=31, n_beyond=40, max_difference=0.25),
            (
                "Another label in 31 of 100 rows (31.0%), none is allowed.",
                "A number beyond the tolerance of 0.0001 in 40 of 100 rows; the largest difference is 0.25.",
            ),
        ),
        (
            Parity(n_rows=2, n_label_mismatches=0, n_beyond=2, max_difference=float("inf")),
            ("A number beyond the tolerance of 0.0001 in 2 of 2 rows; the largest difference is inf.",),
        ),
        (
            Parity(n_rows=100, n_odd_rows=7, n_label_mismatches=0, n_beyond=0, max_difference=1.5e-6),
            ("The same answers to 100 rows, 7 of them odd ones; largest difference 1.5e-06, tolerance 0.0001.",),
        ),
    ],
)
def test_an_export_says_how_the_answers_differ(parity: Parity, sentences: tuple[str, ...]):
    assert sentences_of(judge_parity(parity, tolerance=1e-4)[1]) == sentences


def test_an_export_that_was_not_made_says_why():
    reason = not_converted(ConversionStatus.UNSUPPORTED, "onnx", "it is of another kind")
    assert sentence_of(reason) == "No onnx: it is of another kind."
