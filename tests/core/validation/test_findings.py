from __future__ import annotations

from datetime import date

import pytest

from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.findings import (
    Check,
    Finding,
    Outcome,
    Severity,
    ValidationReport,
    Verdict,
    check_verdicts,
    decide_action,
    findings_of,
    kwargs_as_facts,
    reach_verdict,
)
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.core.wording.validation import found_and_expected
from airflow_mlops.errors import DataError, DataHaltedError, SpecError
from airflow_mlops.specs.validate import PolicySpec

RANGE = "expect_column_values_to_be_between"


THREE = Reason(stage="validation", rule="recorded", facts={"observed": "3", "expected": "4"})


def _finding(action: Verdict, number: int = 0) -> Finding:
    return Finding(rule=f"rule_{number}", severity=Severity.WARNING, column="a", found=THREE, action=action)


def _snapshot() -> DatasetSnapshot:
    return DatasetSnapshot(
        dataset="d",
        uri="/d",
        digest="sha256:abcdef",
        n_rows=42,
        columns=(Column(name="a", type="int64"),),
        source={},
        created_at="2026-01-01T00:00:00Z",
        created_by="ada",
    )


def _report(*findings: Finding) -> ValidationReport:
    verdict = reach_verdict(findings)
    return ValidationReport(
        snapshot_digest="sha256:abcdef",
        n_rows=42,
        checks=(),
        findings=findings,
        verdict=verdict,
        accepted=None if verdict is Verdict.HALT else _snapshot(),
        report_uri="reports/x.html",
    )


def test_the_gravest_finding_is_the_verdict_whatever_the_order():
    actions = [Verdict.RETRAIN, Verdict.HALT, Verdict.PROCEED, Verdict.QUARANTINE]
    assert reach_verdict([_finding(action) for action in actions]) is Verdict.HALT
    assert reach_verdict([_finding(action) for action in actions if action is not Verdict.HALT]) is Verdict.QUARANTINE
    assert reach_verdict([_finding(Verdict.PROCEED), _finding(Verdict.RETRAIN)]) is Verdict.RETRAIN
    assert reach_verdict([]) is Verdict.PROCEED


def test_a_halt_names_the_findings_that_halt_and_no_others():
    report = _report(_finding(Verdict.PROCEED, 1), _finding(Verdict.HALT, 2))
    with pytest.raises(DataHaltedError) as caught:
        report.require_accepted()
    message = str(caught.value)
    assert "1 finding(s) that halt in 42 rows (sha256:abcdef, 0 expectations)" in message
    assert "a: rule_2: found 3, expected 4" in message
    assert "rule_1" not in message
    assert "the champion stays" in message
    assert "reports/x.html" in message


def test_a_halt_lists_ten_findings_and_says_how_many_more_there_are():
    with pytest.raises(DataHaltedError) as caught:
        _report(*(_finding(Verdict.HALT, number) for number in range(13))).require_accepted()
    assert "rule_9:" in str(caught.value)
    assert "rule_10" not in str(caught.value)
    assert "and 3 more" in str(caught.value)


@pytest.mark.parametrize("action", [Verdict.PROCEED, Verdict.RETRAIN, Verdict.QUARANTINE])
def test_everything_but_a_halt_gives_the_snapshot_to_learn_from(action):
    assert _report(_finding(action)).require_accepted() == _snapshot()


def test_a_shift_in_values_is_a_reason_to_retrain_but_never_when_the_data_halted():
    (reason,) = _report(_finding(Verdict.RETRAIN)).retrain_reasons
    assert (reason.stage, reason.subject, reason.verdict) == ("validation", "a", Verdict.RETRAIN)
    assert reason.facts == {**THREE.facts, "finding": "rule_0", "examples": []}
    assert sentence_of(reason) == "a: rule_0: found 3, expected 4."
    assert _report(_finding(Verdict.RETRAIN), _finding(Verdict.HALT)).retrain_reasons == ()
    assert _report(_finding(Verdict.PROCEED)).retrain_reasons == ()


def test_a_finding_shows_at_most_three_examples():
    finding = Finding(rule="r", severity=Severity.INFO, found=THREE, examples=("k", "l", "m", "n", "o"))
    assert str(finding) == "r: found 3, expected 4 (for example 'k', 'l', 'm' and 2 more)"


def test_what_could_not_be_checked_is_neither_a_pass_nor_bad_data_but_a_halt_counts_more():
    unchecked = _check(Outcome.UNCHECKED)
    assert reach_verdict([], [unchecked]) is Verdict.UNDECIDED
    assert reach_verdict([_finding(Verdict.QUARANTINE)], [unchecked]) is Verdict.UNDECIDED
    assert reach_verdict([_finding(Verdict.HALT)], [unchecked]) is Verdict.HALT
    report = ValidationReport(
        snapshot_digest="sha256:1",
        n_rows=1,
        checks=(unchecked,),
        findings=(),
        verdict=Verdict.UNDECIDED,
    )
    with pytest.raises(DataError, match=r"1 expectation\(s\) could not be checked, which says nothing about the data"):
        report.require_accepted()
    assert report.retrain_reasons == ()


def _action(policy: PolicySpec, *, rule: str = RANGE, severity: Severity = Severity.CRITICAL, said: str | None = None):
    return decide_action(rule=rule, column="age", severity=severity, policy=policy, on_failure=said)


def test_the_most_specific_setting_of_the_policy_counts():
    rules = {RANGE: "RETRAIN", f"{RANGE}:age": "QUARANTINE"}
    assert _action(PolicySpec()) is Verdict.HALT
    assert _action(PolicySpec(critical="PROCEED")) is Verdict.PROCEED
    assert _action(PolicySpec(rules={RANGE: "RETRAIN"})) is Verdict.RETRAIN
    assert _action(PolicySpec(rules=rules)) is Verdict.QUARANTINE
    assert _action(PolicySpec(rules=rules), said="PROCEED") is Verdict.PROCEED


def test_warnings_are_reported_but_a_shift_in_values_retrains():
    warning = Severity.WARNING
    assert _action(PolicySpec(), severity=warning) is Verdict.PROCEED
    assert _action(PolicySpec(), rule="category_new", severity=warning) is Verdict.RETRAIN
    assert _action(PolicySpec(), rule="category_new", severity=Severity.CRITICAL) is Verdict.HALT
    assert _action(PolicySpec(rules={"category_new": "HALT"}), rule="category_new", severity=warning) is Verdict.HALT


OLD = Reason(
    stage="validation",
    rule=RANGE,
    subject="age",
    observed=2 / 9,
    n=9,
    facts={"kind": "values", "n_broken": 2, "kwargs": {"max_value": 120}},
)


def _check(outcome: Outcome) -> Check:
    return Check(
        rule=RANGE,
        column="age",
        severity=Severity.CRITICAL,
        found=OLD,
        outcome=outcome,
        examples=("400",),
        engine="DuckDB",
    )


def test_only_broken_checks_are_findings_and_an_expectation_may_say_what_it_leads_to():
    entry = {"type": RANGE, "kwargs": {"column": "age", "max_value": 120}}
    marked = {**entry, "meta": {"on_failure": "QUARANTINE"}}
    checks = [_check(Outcome.MET), _check(Outcome.UNCHECKED), _check(Outcome.BROKEN), _check(Outcome.BROKEN)]
    first, second = findings_of(checks, [entry, entry, entry, marked], PolicySpec())
    assert (first.action, second.action) == (Verdict.HALT, Verdict.QUARANTINE)
    assert (first.rule, first.column, first.found, first.examples) == (RANGE, "age", OLD, ("400",))
    assert str(first) == (
        "age: expect_column_values_to_be_between: found 2 of 9 values break it (22.2 %), expected max_value=120 "
        "(for example '400')"
    )


def test_a_report_of_version_1_keeps_its_texts():
    finding = {"rule": RANGE, "severity": "critical", "column": "age", "observed": "2 of 9", "expected": "max_value=9"}
    check = {**finding, "outcome": "BROKEN", "engine": "DuckDB"}
    report = ValidationReport.from_dict(
        {
            "kind": "ValidationReport",
            "schema_version": 1,
            "snapshot_digest": "sha256:1",
            "n_rows": 9,
            "checks": [check],
            "findings": [{**finding, "examples": ["400"], "action": "HALT"}],
            "verdict": "HALT",
        }
    )
    assert str(report.findings[0]) == f"age: {RANGE}: found 2 of 9, expected max_value=9 (for example '400')"
    assert found_and_expected(report.checks[0].found) == ("2 of 9", "max_value=9")
    assert ValidationReport.from_dict(report.to_dict()) == report


def test_arguments_are_kept_as_json_of_bounded_size():
    kwargs = {"column": "n", "value_set": list(range(1000)), "min_value": date(2026, 1, 2), "regex": "x" * 1000}
    facts = kwargs_as_facts(kwargs)
    assert (len(facts["value_set"]), facts["min_value"], len(facts["regex"])) == (100, "2026-01-02", 300)
    assert "column" not in facts


def test_a_branch_for_what_is_no_verdict_is_refused_with_a_guess():
    check_verdicts(["HALT", "RETRAIN"])
    with pytest.raises(SpecError, match=r"'HALTED' is no verdict\. Did you mean 'HALT'\?"):
        check_verdicts(["HALTED"])
