from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data import Column, arrived_files
from airflow_mlops.core.split import DatasetPart, DatasetSplit
from airflow_mlops.core.validate import Finding, Severity, ValidationReport, Verdict, compare_schemas, reach_verdict
from airflow_mlops.errors import DataHaltedError

CO2 = Column(name="co2_ppm", type="double")
DATE = Column(name="date", type="date32[day]")


def _finding(severity: Severity, number: int = 0) -> Finding:
    return Finding(rule=f"rule_{number}", severity=severity, column="a", observed="3", expected="4")


def _report(findings: tuple[Finding, ...]) -> ValidationReport:
    return ValidationReport(
        snapshot_digest="sha256:abcdef",
        n_rows=42,
        n_checks=7,
        findings=findings,
        verdict=reach_verdict(findings),
        report_uri="reports/x.html",
    )


@pytest.mark.parametrize("severities", [(), (Severity.WARNING,), (Severity.INFO, Severity.WARNING)])
def test_findings_that_are_not_critical_are_reported_and_do_not_stop(severities):
    report = _report(tuple(map(_finding, severities)))
    assert report.verdict is Verdict.PROCEED
    report.require_proceed()


def test_one_critical_finding_among_others_halts():
    report = _report((_finding(Severity.INFO, 1), _finding(Severity.CRITICAL, 2), _finding(Severity.WARNING, 3)))
    assert report.verdict is Verdict.HALT
    with pytest.raises(DataHaltedError) as caught:
        report.require_proceed()
    message = str(caught.value)
    assert "1 critical finding(s) in 42 rows (sha256:abcdef, 7 checks)" in message
    assert "a: rule_2: found 3, expected 4" in message
    assert "rule_1" not in message
    assert "the champion stays" in message
    assert "reports/x.html" in message


def test_a_halt_lists_ten_findings_and_says_how_many_more_there_are():
    with pytest.raises(DataHaltedError) as caught:
        _report(tuple(_finding(Severity.CRITICAL, number) for number in range(13))).require_proceed()
    assert "rule_9:" in str(caught.value)
    assert "rule_10" not in str(caught.value)
    assert "and 3 more" in str(caught.value)


def test_a_finding_shows_at_most_three_examples():
    finding = Finding(rule="r", severity=Severity.INFO, observed="x", expected="y", examples=("k", "l", "m", "n", "o"))
    assert str(finding) == "r: found x, expected y (for example 'k', 'l', 'm' and 2 more)"


def test_equal_schemas_have_no_findings_whatever_the_order_and_the_nulls():
    current = (DATE, Column(name="co2_ppm", type="double", n_null=5))
    assert compare_schemas(reference=(CO2, DATE), current=current) == ()


def test_a_renamed_column_is_missing_and_new_and_the_new_name_is_suggested():
    missing, new = compare_schemas(reference=(CO2, DATE), current=(Column(name="co2_pm", type="double"), DATE))
    assert (missing.rule, missing.column, missing.severity) == ("column_missing", "co2_ppm", Severity.CRITICAL)
    assert "Did you mean 'co2_pm'?" in missing.observed
    assert (new.rule, new.column, new.severity) == ("column_new", "co2_pm", Severity.CRITICAL)


def test_a_column_that_is_gone_is_not_taken_for_one_that_both_have():
    (missing,) = compare_schemas(reference=(CO2, Column(name="co2_ppb", type="double")), current=(CO2,))
    assert missing.column == "co2_ppb"
    assert "Did you mean" not in missing.observed


def test_a_column_of_another_type_says_both_types():
    (finding,) = compare_schemas(reference=(CO2,), current=(Column(name="co2_ppm", type="string"),))
    assert (finding.rule, finding.observed, finding.expected) == ("column_retyped", "type string", "type double")
    assert finding.severity is Severity.CRITICAL


def test_the_identity_of_a_split_is_that_of_both_parts():
    def split(train: str, test: str) -> DatasetSplit:
        return DatasetSplit(
            snapshot_digest="s",
            method="time",
            cut=None,
            columns=(CO2,),
            timestamp=None,
            train=DatasetPart(uri="a", digest=train, n_rows=1),
            test=DatasetPart(uri="b", digest=test, n_rows=1),
        )

    assert len({split("1", "2").digest, split("2", "1").digest, split("1", "3").digest, split("3", "2").digest}) == 4


def test_a_file_counts_once_it_has_not_changed_between_two_looks():
    assert arrived_files(now={"a": "1"}, before={}, handled={}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "1"}, handled={}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "2"}, handled={}) == ("a",)


def test_a_file_that_was_handled_counts_again_only_when_it_changed():
    assert arrived_files(now={"a": "1"}, before={"a": "1"}, handled={"a": "1"}) == ()
    assert arrived_files(now={"a": "2"}, before={"a": "2"}, handled={"a": "1"}) == ("a",)


def test_a_file_that_was_taken_away_does_not_count():
    assert arrived_files(now={}, before={"a": "1"}, handled={}) == ()


@given(st.dictionaries(st.text(), st.text()))
def test_whoever_handles_what_arrived_is_told_of_nothing_the_next_time(stamps):
    arrived = arrived_files(now=stamps, before=stamps, handled={})
    assert arrived == tuple(sorted(stamps))
    assert arrived_files(now=stamps, before=stamps, handled={name: stamps[name] for name in arrived}) == ()
