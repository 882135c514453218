from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys

import pandas as pd
import pytest

from airflow_mlops.adapters.great_expectations import check_suite, columns_of, read_suite, suite_of
from airflow_mlops.adapters.great_expectations._known import COMMON, OPTIONAL, REQUIRED
from airflow_mlops.adapters.great_expectations.run import run_suite
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.validation.findings import Outcome, Severity
from airflow_mlops.errors import SpecError

FRAME = pd.DataFrame({"n": [1, 2, 300, 400], "s": ["x", None, "y", "z"]})
NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"


def _check(kind: str, severity: str | None = None, **kwargs) -> dict:
    return {"type": kind, "kwargs": kwargs, **({"severity": severity} if severity else {})}


def test_what_holds_is_met():
    checks = run_suite(FRAME, [_check(NOT_NULL, column="n"), _check(BETWEEN, column="n", min_value=0, max_value=400)])
    assert [check.outcome for check in checks] == [Outcome.MET, Outcome.MET]
    assert {check.engine for check in checks} == {"Great Expectations"}


def test_what_is_broken_says_how_much_of_it_and_shows_examples():
    (broken,) = run_suite(FRAME, [_check(BETWEEN, column="n", max_value=10)])
    assert (broken.rule, broken.column, broken.severity) == (BETWEEN, "n", Severity.CRITICAL)
    assert (broken.outcome, broken.found.observed, broken.found.n) == (Outcome.BROKEN, 0.5, 4)
    assert (broken.n_elements, broken.n_missing, broken.n_unexpected) == (4, 0, 2)
    assert broken.found.facts == {"kind": "values", "n_broken": 2, "kwargs": {"max_value": 10}}
    assert broken.examples == ("300", "400")


def test_what_is_broken_is_told_from_what_could_not_be_checked():
    gone, broken = run_suite(FRAME, [_check(NOT_NULL, column="gone"), _check(NOT_NULL, column="s")])
    assert (gone.outcome, broken.outcome) == (Outcome.UNCHECKED, Outcome.BROKEN)
    assert 'The column "gone" in BatchData does not exist' in gone.found.facts["error"]


def test_numbers_that_are_expected_of_text_can_not_be_checked():
    (check,) = run_suite(FRAME, [_check(BETWEEN, column="s", min_value=0)])
    assert check.outcome is Outcome.UNCHECKED


def test_timestamps_of_every_unit_are_compared_with_text():
    moments = pd.DataFrame(
        {
            "t": pd.Series(
                [dt.datetime.fromisoformat("2020-01-01"), dt.datetime.fromisoformat("2021-01-01")],
                dtype="datetime64[us]",
            )
        }
    )
    (check,) = run_suite(moments, [_check(BETWEEN, column="t", min_value="2020-06-01 00:00:00")])
    assert (check.outcome, check.n_unexpected) == (Outcome.BROKEN, 1)


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_a_check_has_the_severity_that_the_suite_gave_it(severity):
    (check,) = run_suite(FRAME, [_check(NOT_NULL, severity, column="s")])
    assert check.severity is Severity(severity)


def test_a_check_of_the_whole_table_is_about_no_column_and_says_what_it_saw():
    (check,) = run_suite(FRAME, [_check("expect_table_row_count_to_be_between", min_value=10)])
    assert (check.column, check.found.observed, check.n_elements) == (None, 4, None)
    assert check.found.facts == {"kind": "figure", "kwargs": {"min_value": 10}}


def test_of_two_equal_expectations_both_are_checked():
    checks = run_suite(FRAME, [_check(NOT_NULL, column="s"), _check(NOT_NULL, column="s")])
    assert [check.outcome for check in checks] == [Outcome.BROKEN, Outcome.BROKEN]


def test_the_expectations_and_arguments_are_those_of_the_installed_great_expectations():
    from great_expectations.expectations import registry

    left_out = {*COMMON, "meta", "severity", "library_metadata"}
    # Other tests may register expectations of their own.
    core = [
        n
        for n in registry.list_registered_expectation_implementations()
        if "great_expectations." in str(registry.get_expectation_impl(n))
    ]
    fields = {name: registry.get_expectation_impl(name).__fields__ for name in core}
    required = {name: {k for k, f in each.items() if f.required is True} for name, each in fields.items()}
    optional = {name: {*each} - required[name] - left_out for name, each in fields.items()}
    assert required == {name: set(keys) for name, keys in REQUIRED.items()}
    assert optional == {name: set(keys) for name, keys in OPTIONAL.items()}


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_check("expect_column_values_to_be_betwen"), f"Did you mean '{BETWEEN}'"),
        (_check(NOT_NULL, colum="n"), "unknown argument 'colum'. Did you mean 'column'"),
        (_check(NOT_NULL), "the argument 'column' is required"),
        (_check(NOT_NULL, "fatal", column="n"), "severity 'fatal' is none of critical, warning, info"),
        (_check(NOT_NULL, column="n", mostly=1.5), "mostly must be from 0 to 1, found 1.5"),
        ({"type": NOT_NULL, "kwargs": 3}, "kwargs must be a mapping"),
        ({"type": NOT_NULL, "kwargs": {"column": "n"}, "mostly": 0.9}, "unknown setting 'mostly'"),
        (_check("expect_column_values_to_be_in_set", column="n", value_set=[]), "'value_set' is empty"),
        (_check("expect_column_values_to_be_in_set", column="s", value_set="Bonn"), "must be a list, found 'Bonn'"),
    ],
)
def test_an_expectation_that_can_not_be_used_is_an_error_and_never_left_out(broken, words):
    with pytest.raises(SpecError) as caught:
        check_suite([_check(NOT_NULL, column="n"), broken])
    assert "expectations[1]" in str(caught.value)
    assert words in str(caught.value)


def test_what_great_expectations_does_not_take_is_said_without_the_words_of_its_library():
    with pytest.raises(SpecError) as caught:
        run_suite(FRAME, [_check(BETWEEN, column="n")])
    assert str(caught.value) == (
        f"validation: Great Expectations can't use {BETWEEN} with {{'column': 'n'}}: min_value and max_value cannot "
        "both be None. Nothing was trained. Fix the suite."
    )
    with pytest.raises(SpecError, match="column: "):
        run_suite(FRAME, [_check(BETWEEN, column=["n"], min_value=0)])


def test_suites_are_read_and_checked_without_importing_great_expectations():
    script = (
        "import sys; from airflow_mlops.adapters.great_expectations import check_suite; "
        f"check_suite([{_check(NOT_NULL, column='n')!r}]); assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_suite_is_read_from_its_file(tmp_path):
    checks = [_check(NOT_NULL, "warning", column="n")]
    (tmp_path / "s.json").write_text(json.dumps({"name": "s", "expectations": checks}))
    assert read_suite(str(tmp_path / "s.json")) == tuple(checks)


@pytest.mark.parametrize("suffix", ["yaml", "YML"])
def test_a_suite_may_be_yaml_and_its_dates_are_text(tmp_path, suffix):
    text = f"expectations:\n- type: {BETWEEN}\n  kwargs: {{column: d, min_value: 2020-01-01}}\n"
    (tmp_path / f"s.{suffix}").write_text(text)
    assert read_suite(str(tmp_path / f"s.{suffix}")) == (_check(BETWEEN, column="d", min_value="2020-01-01"),)


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


def test_a_suite_from_code_is_what_it_would_be_in_a_file():
    import great_expectations as gx
    import great_expectations.expectations as gxe

    made = [gxe.ExpectColumnValuesToBeInSet(column="n", value_set=[1], mostly=0.5, severity="warning")]
    for given in (gx.ExpectationSuite(name="s", expectations=made), [made[0]]):
        (entry,) = suite_of(given, "my.module:suite")
        check_suite([entry])
        assert (entry["type"], entry["severity"]) == ("expect_column_values_to_be_in_set", "warning")
        assert {"column": "n", "value_set": [1], "mostly": 0.5}.items() <= entry["kwargs"].items()
    assert suite_of([_check(NOT_NULL, column="n")], "x") == (_check(NOT_NULL, column="n"),)


@pytest.mark.parametrize(("made", "words"), [(3, "gave int"), ([], "has no expectations"), ([3], "must be a list")])
def test_what_is_no_suite_is_refused_by_the_name_of_its_function(made, words):
    with pytest.raises(SpecError, match=rf"validation\.function 'my:suite'.*{words}"):
        suite_of(made, "my:suite")


def test_only_the_columns_that_are_looked_at_are_named():
    columns = [Column(name=name, type="int64") for name in "abc"]
    pair = _check("expect_column_pair_values_to_be_equal", column_A="c", column_B="gone")
    assert columns_of([_check(NOT_NULL, column="a"), pair], columns) == ["a", "c"]
    assert columns_of([_check(NOT_NULL, column="a", row_condition="b > 1")], columns) == ["a", "b", "c"]
    assert columns_of([_check("expect_table_row_count_to_equal", value=1)], columns) == ["a", "b", "c"]
