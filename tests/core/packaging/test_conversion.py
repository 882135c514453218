from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.packaging.conversion import (
    Answers,
    ConversionReport,
    ConversionStatus,
    Parity,
    compare_answers,
    input_kinds,
    judge_parity,
    not_converted,
)
from airflow_mlops.errors import ConversionError

TOLERANCE = 1e-4


def _numbers(*values: float) -> Answers:
    return Answers(numbers=np.array(values).reshape(-1, 1))


def _classes(labels: list[object], probabilities: list[list[float]]) -> Answers:
    return Answers(labels=np.array(labels), numbers=np.array(probabilities))


def _compare(reference: Answers, current: Answers) -> Parity:
    return compare_answers(reference=reference, current=current, tolerance=TOLERANCE)


def _status(reference: Answers, current: Answers) -> ConversionStatus:
    return judge_parity(_compare(reference, current), tolerance=TOLERANCE)[0]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30))
def test_a_model_that_answers_the_same_is_kept(values):
    parity = _compare(_numbers(*values), _numbers(*values))
    assert (parity.n_rows, parity.n_beyond, parity.max_difference) == (len(values), 0, 0.0)
    assert judge_parity(parity, tolerance=TOLERANCE)[0] is ConversionStatus.KEPT


@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
def test_a_difference_of_numbers_means_the_same_in_every_unit(scale, shift):
    reference, current = np.array([0.0, 10.0, 4.0]), np.array([0.0, 10.0, 4.5])
    parity = _compare(_numbers(*(scale * (reference + shift))), _numbers(*(scale * (current + shift))))
    assert parity.max_difference == pytest.approx(0.05, rel=1e-6)
    assert parity.n_beyond == 1


def test_numbers_that_are_all_the_same_are_measured_by_their_size():
    assert _compare(_numbers(50.0, 50.0), _numbers(50.0, 51.0)).max_difference == pytest.approx(0.02)
    assert _compare(_numbers(0.0, 0.0), _numbers(0.0, 0.5)).max_difference == 0.5


def test_probabilities_are_compared_as_they_are():
    reference = _classes(["a", "b"], [[0.50, 0.50], [0.49, 0.51]])
    current = _classes(["a", "b"], [[0.50, 0.50], [0.48, 0.52]])
    parity = _compare(reference, current)
    assert (parity.n_label_mismatches, parity.n_beyond) == (0, 1)
    assert parity.max_difference == pytest.approx(0.01)


def test_one_other_label_is_enough_to_refuse_and_is_counted():
    even = [[0.5, 0.5]] * 4
    parity = _compare(_classes([0, 0, 1, 1], even), _classes([0, 1, 1, 1], even))
    status, reasons = judge_parity(parity, tolerance=TOLERANCE)
    assert status is ConversionStatus.REFUSED
    (reason,) = reasons
    assert (reason.stage, reason.rule, reason.verdict) == ("packaging", "labels", "REFUSED")
    assert (reason.observed, reason.required, reason.n) == (1, 0, 4)


def test_labels_of_another_type_are_the_same_where_their_values_are():
    reference = Answers(labels=np.array([True, False]))
    assert _status(reference, Answers(labels=np.array([1, 0]))) is ConversionStatus.KEPT
    reference = Answers(labels=np.array(["no", "yes"]))
    assert _status(reference, Answers(labels=np.array(["no", "yes"], dtype=object))) is ConversionStatus.KEPT


@pytest.mark.parametrize("current", [_numbers(1.0, np.nan), _numbers(1.0, np.inf), _numbers(1.0), _numbers(1, 2, 3)])
def test_what_is_no_number_or_not_one_for_each_row_is_refused(current):
    parity = _compare(_numbers(1.0, 2.0), current)
    assert parity.max_difference == np.inf
    assert judge_parity(parity, tolerance=TOLERANCE)[0] is ConversionStatus.REFUSED


def test_both_kinds_of_difference_are_said_with_their_numbers():
    parity = Parity(n_rows=100, n_label_mismatches=31, n_beyond=40, max_difference=0.25)
    status, reasons = judge_parity(parity, tolerance=TOLERANCE)
    assert status is ConversionStatus.REFUSED
    assert [(each.rule, each.verdict, each.observed, each.required, each.n) for each in reasons] == [
        ("labels", "REFUSED", 31, 0, 100),
        ("tolerance", "REFUSED", 0.25, TOLERANCE, 100),
    ]
    assert reasons[1].facts["n_beyond"] == 40
    assert reasons[1].setting == "conversion.tolerance"


def test_what_is_kept_says_how_close_it_came():
    status, (reason,) = judge_parity(
        Parity(n_rows=100, n_odd_rows=7, n_label_mismatches=0, n_beyond=0, max_difference=1e-6), tolerance=TOLERANCE
    )
    assert (status, reason.rule, reason.verdict) == (ConversionStatus.KEPT, "tolerance", "KEPT")
    assert (reason.observed, reason.required, reason.n, reason.facts["n_odd_rows"]) == (1e-6, TOLERANCE, 100, 7)


def test_no_rows_are_no_evidence():
    nothing = Answers(numbers=np.zeros((0, 1)))
    status, (reason,) = judge_parity(_compare(nothing, nothing), tolerance=TOLERANCE)
    assert status is ConversionStatus.REFUSED
    assert (reason.rule, reason.observed, reason.required, reason.n) == ("rows", 0, 1, 0)


def test_columns_are_numbers_or_text():
    types = {"a": "int64", "b": "double", "c": "bool", "d": "decimal128(9, 2)", "e": "string", "f": "dictionary<x>"}
    kinds = input_kinds([Column(name=name, type=type_) for name, type_ in types.items()])
    assert kinds == dict.fromkeys("abcd", "number") | dict.fromkeys("ef", "text")


def test_a_column_that_is_neither_can_not_be_exported():
    with pytest.raises(ConversionError, match=r"feature 'at' is of type timestamp\[us\], and only numbers"):
        input_kinds([Column(name="at", type="timestamp[us]")])


@pytest.mark.parametrize(
    ("status", "formats"),
    [
        (ConversionStatus.KEPT, ("skops", "onnx")),
        (ConversionStatus.REFUSED, ("skops",)),
        (ConversionStatus.UNSUPPORTED, ("skops",)),
    ],
)
def test_a_report_says_which_formats_there_are_and_survives_the_way_through_json(status, formats):
    parity = Parity(n_rows=2, n_label_mismatches=0, n_beyond=2, max_difference=np.inf)
    report = ConversionReport(
        model_name="m",
        run_id="r",
        model_digest="sha256:1",
        split_digest="sha256:2",
        format="onnx",
        settings_digest="sha256:3",
        tolerance=TOLERANCE,
        status=status,
        reasons=judge_parity(parity, tolerance=TOLERANCE)[1],
        parity=parity,
        inputs=(("x", "number"),),
    )
    assert report.formats == formats
    assert ConversionReport.from_dict(report.to_dict()) == report


def test_a_model_that_can_not_be_converted_says_why():
    reason = not_converted(ConversionStatus.UNSUPPORTED, "onnx", "feature 'at' is of type timestamp[us]")
    assert (reason.stage, reason.rule, reason.verdict, reason.subject) == (
        "packaging",
        "conversion",
        "UNSUPPORTED",
        "onnx",
    )
    assert reason.facts == {"problem": "feature 'at' is of type timestamp[us]"}
