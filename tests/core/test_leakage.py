from __future__ import annotations

import pytest

from airflow_mlops.core.leakage import LeakageFinding, LeakageReport
from airflow_mlops.errors import LeakageError


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
        observed="it",
        expected="not it",
        examples=("1",),
        advice="Drop it.",
    )


def test_a_report_without_findings_lets_the_pipeline_go_on():
    assert _report().is_clean
    _report().require_clean()


def test_the_refusal_says_what_leaks_what_was_expected_and_what_to_do():
    with pytest.raises(LeakageError) as caught:
        _report(_finding("a")).require_clean()
    message = str(caught.value)
    assert "1 finding(s) in 8 training and 2 held-back rows (sha256:1, target 'y')" in message
    assert "a: reproduces_target: found it, expected not it (for example '1'). Drop it." in message
    assert message.endswith("Nothing was trained and the champion stays. Report: reports/leakage.html")


def test_a_long_list_of_findings_is_cut():
    with pytest.raises(LeakageError, match="and 3 more"):
        _report(*(_finding(f"c{index}") for index in range(13))).require_clean()
