from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import DatasetSpec, SplitSpec

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
    with pytest.raises(SpecError, match=r"format: there is no 'xlsx'.* Known: csv, jsonl, parquet"):
        DatasetSpec(path="x", format="xlsx")


def test_a_path_that_is_empty_is_refused():
    with pytest.raises(SpecError, match="path: "):
        DatasetSpec(path="")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.1, float("nan")])
def test_a_test_fraction_lies_between_zero_and_one(fraction):
    with pytest.raises(SpecError, match="test_fraction"):
        SplitSpec(test_fraction=fraction)


def test_a_split_is_by_time_unless_said_otherwise():
    assert SplitSpec().method == "time"
    with pytest.raises(SpecError, match="method: "):
        SplitSpec(method="shuffle")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"header": False}, "without a header the columns have no names: give `columns`"),
        ({"header": False, "columns": ["a", "a"]}, "`columns` has a name twice"),
        ({"encoding": "klingon"}, "csv.encoding: Python knows no such encoding"),
        ({"decimal": ",", "delimiter": ","}, "can't be the decimal sign and the delimiter"),
        ({"decimal": ",", "thousands": ","}, "can't be the decimal sign and the delimiter or thousands sign"),
        ({"quote": "|", "delimiter": "|"}, "can't be the quote and the delimiter at once"),
        ({"quote": "''"}, "csv.quote"),
        ({"delimeter": ";"}, "csv.delimeter: unknown key. Did you mean 'delimiter'?"),
        ({"final_newline": "maybe"}, "there is no 'maybe'. Known: optional, required."),
    ],
)
def test_csv_settings_that_contradict_each_other_are_refused(settings, said):
    with pytest.raises(SpecError) as caught:
        DatasetSpec(path="x", csv=settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "found none"),
        ({"path": "x", "function": "a:b"}, "found path and function"),
        ({"query": "SELECT 1"}, "`query` needs `conn_id`"),
        ({"path": "x", "athena": {"database": "d", "output_location": "s3://b"}}, "`athena` needs `query`"),
        ({"path": "x", "timestamp": "at", "trailing": "P1D", "window_start": "2026-01-01"}, "keep one"),
        ({"path": "x", "timestamp": "at", "trailing": "P1D", "since_last_snapshot": True}, "keep one"),
        ({"path": "x", "trailing": "P1D"}, "a window needs `timestamp`"),
        ({"path": "x", "timestamp": "at", "trailing": "-P1D"}, "trailing"),
    ],
)
def test_a_dataset_has_one_source_and_one_window(settings, said):
    with pytest.raises(SpecError) as caught:
        DatasetSpec(**settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"trailing": 30},
        {"window_start": 20240101},
        {"window_end": 1.5},
        {"trailing": "30"},
        {"window_start": "20260131"},
        {"window_end": " 2026 "},
        {"window_end": "-1.5e3"},
    ],
)
def test_a_bare_number_is_no_time(setting):
    with pytest.raises(SpecError, match="not as a number"):
        DatasetSpec(path="x", timestamp="at", **setting)


@pytest.mark.parametrize("length", ["P1M", "P1Y", "p1y2m3d", "P1MT2H"])
def test_months_and_years_are_no_length(length):
    with pytest.raises(SpecError, match="months and years differ in length: write days, such as P30D or P365D"):
        DatasetSpec(path="x", timestamp="at", trailing=length)
    assert DatasetSpec(path="x", timestamp="at", trailing="P1DT5M").trailing == timedelta(days=1, minutes=5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "csv"}, "`format` says nothing without `path`"),
        ({"csv": {"delimiter": ";"}}, "`csv` says nothing without `path`"),
        ({"partitioned": True}, "`partitioned` says nothing without `path`"),
        ({"function_params": {"a": 1}}, "`function_params` says nothing without `function`"),
    ],
)
def test_a_setting_of_another_kind_of_source_is_refused(settings, message):
    with pytest.raises(SpecError, match=message):
        DatasetSpec(query="SELECT 1", conn_id="c", **settings)


def test_a_connection_that_nothing_needs_is_refused():
    with pytest.raises(SpecError, match="`conn_id` says nothing here"):
        DatasetSpec(path="/x.csv", conn_id="aws_default")


def test_parameters_of_a_function_are_json_so_that_a_dag_and_a_notebook_give_the_same():
    with pytest.raises(SpecError, match="function_params"):
        DatasetSpec(function="a:b", function_params={"when": object()})


@pytest.mark.parametrize("source", [{"path": "x"}, {"query": "SELECT 1", "conn_id": "c"}, {"function": "a:b"}])
def test_a_dataset_survives_the_way_through_json(source):
    spec = DatasetSpec(**source, timestamp="at", trailing="P30D")
    assert DatasetSpec.parse(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    "bound", [{"window_end": "9999-12-31T23:59:59-12:00"}, {"window_start": "0001-01-01T00:00:00+05:00"}]
)
def test_a_window_beyond_the_calendar_is_refused(bound):
    with pytest.raises(SpecError, match="beyond the years from 1 to 9999"):
        DatasetSpec(path="x", timestamp="at", **bound)
