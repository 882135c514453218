from __future__ import annotations

import json

import pandas as pd
import pytest

from airflow_mlops.adapters.great_expectations import read_suite, run_suite
from airflow_mlops.core.validate import Severity
from airflow_mlops.errors import SpecError

FRAME = pd.DataFrame({"n": [1, 2, 300, 400], "s": ["x", None, "y", "z"]})
NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"


def _check(kind: str, severity: str | None = None, **kwargs) -> dict:
    return {"type": kind, "kwargs": kwargs, **({"severity": severity} if severity else {})}


def test_what_holds_is_no_finding():
    checks = [_check(NOT_NULL, column="n"), _check(BETWEEN, column="n", min_value=0, max_value=400)]
    assert run_suite(FRAME, checks) == ([], [])


def test_what_failed_says_how_much_of_it_and_shows_examples():
    (failed,), unchecked = run_suite(FRAME, [_check(BETWEEN, column="n", max_value=10)])
    assert unchecked == []
    assert (failed.rule, failed.column, failed.severity) == (BETWEEN, "n", Severity.CRITICAL)
    assert failed.observed == "2 of 4 values break it (50 %)"
    assert failed.expected.startswith("max_value=10")
    assert failed.examples == ("300", "400")


def test_what_failed_is_told_from_what_could_not_be_checked():
    failed, unchecked = run_suite(FRAME, [_check(NOT_NULL, column="gone"), _check(NOT_NULL, column="s")])
    assert [finding.column for finding in failed] == ["s"]
    assert [finding.column for finding in unchecked] == ["gone"]
    assert 'The column "gone" in BatchData does not exist' in unchecked[0].observed


def test_numbers_that_are_expected_of_text_can_not_be_checked():
    failed, (unchecked,) = run_suite(FRAME, [_check(BETWEEN, column="s", min_value=0)])
    assert failed == []
    assert unchecked.column == "s"


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_a_finding_has_the_severity_that_the_suite_gave_it(severity):
    (failed,), _ = run_suite(FRAME, [_check(NOT_NULL, severity, column="s")])
    assert failed.severity is Severity(severity)


def test_a_check_of_the_whole_table_is_about_no_column_and_says_what_it_saw():
    (failed,), _ = run_suite(FRAME, [_check("expect_table_row_count_to_be_between", min_value=10)])
    assert (failed.column, failed.observed) == (None, "4")


def test_a_check_of_an_aggregate_says_what_it_saw():
    (failed,), _ = run_suite(FRAME, [_check("expect_column_max_to_be_between", column="n", max_value=10)])
    assert (failed.column, failed.observed) == ("n", "400")


def test_at_most_three_examples_are_kept():
    (failed,), _ = run_suite(FRAME, [_check(BETWEEN, column="n", max_value=0)])
    assert len(failed.examples) == 3


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_check("expect_nonsense"), "expect_nonsense not found"),
        (_check(NOT_NULL, colum="n"), "colum"),
        (_check(NOT_NULL, "fatal", column="n"), "Invalid severity 'fatal'"),
        ({"type": NOT_NULL, "kwargs": 3}, "kwargs must be a dict"),
        ({"type": NOT_NULL, "kwargs": {"column": "n"}, "mostly": 0.9}, "mostly"),
    ],
)
def test_an_expectation_that_can_not_be_used_is_an_error_and_never_left_out(broken, words):
    with pytest.raises(SpecError, match=rf"Great Expectations can't use the suite: [\s\S]*{words}"):
        run_suite(FRAME, [_check(NOT_NULL, column="n"), broken])


def test_a_suite_is_read_from_its_file(tmp_path):
    checks = [_check(NOT_NULL, "warning", column="n")]
    (tmp_path / "s.json").write_text(json.dumps({"name": "s", "expectations": checks}))
    assert read_suite(str(tmp_path / "s.json")) == tuple(checks)


@pytest.mark.parametrize("text", ["{}", "[]", '{"name": "s"}', '{"expectations": []}', '{"expectations": null}', "3"])
def test_a_suite_without_expectations_is_no_pass(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(SpecError, match=r"s\.json' has no expectations, and nothing checked is no pass"):
        read_suite(str(tmp_path / "s.json"))


@pytest.mark.parametrize("expectations", ['"abc"', '{"a": 1}', "[1]", '[{"kwargs": {}}]'])
def test_expectations_that_are_none_are_refused(tmp_path, expectations):
    (tmp_path / "s.json").write_text(f'{{"expectations": {expectations}}}')
    with pytest.raises(SpecError, match="must be a list of objects that have a `type`"):
        read_suite(str(tmp_path / "s.json"))


def test_a_suite_that_is_not_there_or_is_not_json_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"validation\.suite '.*gone\.json' can't be read: No such file"):
        read_suite(str(tmp_path / "gone.json"))
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(SpecError, match=r"s\.json' is not JSON"):
        read_suite(str(tmp_path / "s.json"))
