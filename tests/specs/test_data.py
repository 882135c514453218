from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import DatasetSpec, SplitSpec, ValidationSpec

EXPECTATION = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}}


def test_environment_variables_in_the_path_are_read(monkeypatch):
    monkeypatch.setenv("MLOPS_TEST_ROOT", "/data")
    assert DatasetSpec(path="$MLOPS_TEST_ROOT/a.csv").path == "/data/a.csv"
    assert DatasetSpec(path="${MLOPS_TEST_ROOT}/a.csv").path == "/data/a.csv"


@pytest.mark.parametrize("path", ["$MLOPS_TEST_UNSET/a.csv", "${MLOPS_TEST_UNSET}/a.csv"])
def test_an_environment_variable_that_is_not_set_is_an_error_that_names_it(monkeypatch, path):
    monkeypatch.delenv("MLOPS_TEST_UNSET", raising=False)
    with pytest.raises(SpecError, match="path: environment variable 'MLOPS_TEST_UNSET' is not set"):
        DatasetSpec(path=path)


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert DatasetSpec(path="~/a.csv").path == "/home/somebody/a.csv"


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_window_is_open(nothing):
    spec = DatasetSpec(path="x", window_start=nothing, window_end=nothing)
    assert (spec.window_start, spec.window_end) == (None, None)


def test_window_bounds_are_read_from_iso_8601():
    spec = DatasetSpec(path="x", timestamp="at", window_start="2026-01-01", window_end="2026-02-01T00:00:00Z")
    assert spec.window_start == datetime.fromisoformat("2026-01-01")
    assert spec.window_end == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("bound", ["window_start", "window_end"])
def test_a_window_needs_the_column_that_it_cuts(bound):
    with pytest.raises(SpecError, match="a window needs `timestamp`"):
        DatasetSpec(path="x", **{bound: "2026-01-01"})


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-02-01", "2026-01-01"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01"),
        ("2026-01-01", "2026-01-01T00:30:00+01:00"),
    ],
)
def test_a_window_that_holds_no_moment_is_refused(start, end):
    with pytest.raises(SpecError, match="is not before window_end"):
        DatasetSpec(path="x", timestamp="at", window_start=start, window_end=end)


def test_an_unknown_format_is_refused():
    with pytest.raises(SpecError, match=r"format: .*'csv', 'parquet' or 'jsonl'"):
        DatasetSpec(path="x", format="xlsx")


def test_a_path_that_is_empty_is_refused():
    with pytest.raises(SpecError, match="path: "):
        DatasetSpec(path="")


@pytest.mark.parametrize("settings", [{}, {"suite": ""}, {"suite": "s.json", "expectations": [EXPECTATION]}])
def test_a_validation_has_either_a_suite_or_expectations(settings):
    with pytest.raises(SpecError, match="give either `suite`, a path, or `expectations`"):
        ValidationSpec(**settings)


@pytest.mark.parametrize("broken", [{"kwargs": {}}, {"type": 3}])
def test_an_expectation_without_a_type_is_named_by_its_place(broken):
    with pytest.raises(SpecError, match=r"expectations\[1\] has no `type`"):
        ValidationSpec(expectations=[EXPECTATION, broken])


def test_the_path_of_a_suite_is_expanded(monkeypatch):
    monkeypatch.setenv("MLOPS_TEST_ROOT", "/suites")
    assert ValidationSpec(suite="$MLOPS_TEST_ROOT/a.json").suite == "/suites/a.json"


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.1, float("nan")])
def test_a_test_fraction_lies_between_zero_and_one(fraction):
    with pytest.raises(SpecError, match="test_fraction"):
        SplitSpec(test_fraction=fraction)


def test_a_split_is_by_time_unless_said_otherwise():
    assert SplitSpec().method == "time"
    with pytest.raises(SpecError, match="method: "):
        SplitSpec(method="shuffle")
