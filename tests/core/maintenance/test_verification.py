from __future__ import annotations

import pytest

from airflow_mlops.core.maintenance.verification import Check, VerificationReport
from airflow_mlops.errors import IntegrityError

GOOD = Check(subject="v1 files", is_good=True, found="as recorded")
BAD = Check(subject="v2 files", is_good=False, found="one byte differs. Restore it.")


def test_each_check_has_a_line_that_starts_with_its_result():
    lines = VerificationReport(model_name="co2", checks=(GOOD, BAD)).lines()
    assert list(lines) == ["ok   v1 files: as recorded", "BAD  v2 files: one byte differs. Restore it."]


def test_records_that_agree_pass():
    VerificationReport(model_name="co2", checks=(GOOD,)).require_whole()


def test_checks_that_failed_are_named():
    report = VerificationReport(model_name="co2", checks=(GOOD, BAD))
    with pytest.raises(IntegrityError, match=r"^co2: 1 of 2 checks failed: 'v2 files'\. Nothing was changed."):
        report.require_whole()


def test_no_check_is_no_pass():
    with pytest.raises(IntegrityError, match="0 of 0 checks failed"):
        VerificationReport(model_name="co2", checks=()).require_whole()
