from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.splitting.leakage import LeakageFinding, LeakageReport, chance_of_equal_rows
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError, LeakageError


def _report(*findings: LeakageFinding) -> LeakageReport:
    return LeakageReport(
        snapshot_digest="sha256:1",
        split_digest="a+b",
        target="y",
        n_train=8,
        n_test=2,
        n_sampled=8,
        n_checks=3,
        findings=findings,
        report_uri="reports/leakage.html",
    )


def _finding(column: str) -> LeakageFinding:
    return LeakageFinding(
        rule="reproduces_target",
        columns=(column,),
        found=Reason(stage="splitting", rule="recorded_finding", facts={"observed": "it", "expected": "not it"}),
        examples=("1",),
        advice="Drop it.",
    )


def test_a_report_of_version_1_keeps_its_texts():
    document = _report().to_dict()
    finding = {
        "rule": "reproduces_target",
        "columns": ["a"],
        "observed": "it",
        "expected": "not it",
        "examples": ["1"],
        "advice": "Drop it.",
    }
    document |= {"schema_version": 1, "findings": [finding], "notes": ["'id': another value in every row"]}
    report = LeakageReport.from_dict(document)
    assert str(report.findings[0]) == "a: reproduces_target: found it, expected not it (for example '1'). Drop it."
    assert sentences_of(report.notes) == ("'id': another value in every row",)
    assert LeakageReport.from_dict(report.to_dict()) == report


def test_a_report_without_findings_lets_the_pipeline_go_on():
    assert _report().is_clean
    _report().require_clean()


def test_the_refusal_says_what_leaks_what_was_expected_and_what_to_do():
    with pytest.raises(LeakageError) as caught:
        _report(_finding("a")).require_clean()
    message = str(caught.value)
    assert "1 finding(s) in 8 training and 2 held-out rows (sha256:1, target 'y')" in message
    assert "a: reproduces_target: found it, expected not it (for example '1'). Drop it." in message
    assert message.endswith("Nothing was trained and the champion stays. Report: reports/leakage.html")


def test_a_long_list_of_findings_is_cut():
    with pytest.raises(LeakageError, match="and 3 more"):
        _report(*(_finding(f"c{index}") for index in range(13))).require_clean()


@pytest.mark.statistics
@pytest.mark.parametrize("n_values", [2, 5, 20])
@pytest.mark.parametrize("n_copies", [0, 3])
def test_as_many_rows_are_equal_by_chance_as_a_second_draw_has(n_values, n_copies):
    rng = np.random.default_rng(n_values)
    train, test = (rng.integers(0, n_values, size=(3000, 3)) for _ in range(2))
    train, test = (np.column_stack([rows, *[rows[:, 0]] * n_copies]) for rows in (train, test))
    known = set(map(tuple, train.tolist()))
    shared = np.mean([tuple(row) in known for row in test.tolist()])
    assert chance_of_equal_rows(train, len(train)) == pytest.approx(shared, abs=0.05)


@given(st.integers(0, 99), st.integers(2, 6))
def test_rows_that_are_there_several_times_are_not_equal_by_chance(seed, n_times):
    rng = np.random.default_rng(seed)
    fine = np.column_stack([rng.permutation(300), rng.integers(0, 2, 300), rng.integers(0, 3, 300)])
    again = rng.permutation(np.repeat(fine, n_times, axis=0))
    assert chance_of_equal_rows(again, len(again)) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30), st.integers(0, 1000))
def test_chance_is_a_fraction_that_grows_with_the_rows(rows, n_rows):
    codes = np.array(rows, dtype=np.int64).reshape(-1, 2)
    assert 0 <= chance_of_equal_rows(codes, n_rows) <= chance_of_equal_rows(codes, 2 * n_rows) <= 1


@pytest.mark.parametrize(
    "damaged", [{"findings": [7]}, {"findings": [{"rule": "r"}]}, {"findings": None}, {"notes": 7}]
)
def test_a_report_of_version_1_that_is_damaged_is_not_mended(damaged: dict[str, object]):
    with pytest.raises(IntegrityError, match="LeakageReport: the document is damaged"):
        LeakageReport.from_dict({**_report().to_dict(), "schema_version": 1, **damaged})


def test_a_report_from_before_there_were_notes_has_none():
    document = {**_report().to_dict(), "schema_version": 1}
    del document["notes"]
    assert LeakageReport.from_dict(document) == _report()
