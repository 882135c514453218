from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import (
    examples_that_are_not,
    feature_rows,
    quantiles,
    scan_source,
    time_cut,
    time_range,
)
from airflow_mlops.errors import DataError
from airflow_mlops.specs import DatasetSpec


@pytest.fixture
def write(tmp_path):
    def _write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return _write


def _rows(files: list[Path], **settings: Any) -> list[dict[str, Any]]:
    with scan_source(DatasetSpec(path="the path", **settings), files) as reader:
        return reader.read_all().to_pylist()


def _features(parquet: str, query: str | None, timestamp: str | None = None) -> list[dict[str, Any]]:
    with feature_rows(parquet, DatasetSpec(path="x", features=query, timestamp=timestamp)) as reader:
        return reader.read_all().to_pylist()


def _parquet(tmp_path: Path, columns: dict[str, Any]) -> str:
    pq.write_table(pa.table(columns), tmp_path / "snapshot.parquet")
    return str(tmp_path / "snapshot.parquet")


def test_rows_come_in_the_order_of_the_files_and_of_their_lines(write):
    files = [write("b.csv", "n\n3\n1\n"), write("a.csv", "n\n2\n")]
    assert [row["n"] for row in _rows(files)] == [3, 1, 2]


def test_columns_are_matched_by_name_and_one_that_a_file_lacks_is_null(write):
    files = [write("1.csv", "at,temp\n2026-01-01,1.5\n"), write("2.csv", "temperature,at\n2.5,2026-01-02\n")]
    assert _rows(files) == [
        {"at": date(2026, 1, 1), "temp": 1.5, "temperature": None},
        {"at": date(2026, 1, 2), "temp": None, "temperature": 2.5},
    ]


def test_one_text_among_many_numbers_makes_the_column_text_and_the_text_is_found(write, tmp_path):
    lines = "\n".join(map(str, range(30_000)))
    file = write("1.csv", f"n\n{lines}\nn/a\nbroken\n")
    with scan_source(DatasetSpec(path="x"), [file]) as reader:
        table = reader.read_all()
    assert str(table.schema.field("n").type) == "string"
    parquet = _parquet(tmp_path, {"n": table["n"]})
    assert examples_that_are_not(parquet, "n", "int64") == ("broken", "n/a")


def test_examples_are_few_short_and_different(tmp_path):
    parquet = _parquet(tmp_path, {"v": ["x" * 200, "b", "b", "c", "d", None, "1"]})
    assert examples_that_are_not(parquet, "v", "double") == ("b", "c", "d")
    assert [len(text) for text in examples_that_are_not(parquet, "v", "double", limit=9)] == [1, 1, 1, 80]


def test_examples_that_are_no_timestamps_are_found(tmp_path):
    parquet = _parquet(tmp_path, {"at": ["2026-01-01", "yesterday", "2026-01-01 10:00:00", None]})
    assert examples_that_are_not(parquet, "at", "timestamp[us]") == ("yesterday",)
    assert examples_that_are_not(parquet, "at", "date32[day]") == ("yesterday",)


@pytest.mark.parametrize(
    ("name", "text"), [("1.csv", "a,b\n1,x\n"), ("1.tsv", "a\tb\n1\tx\n"), ("1.jsonl", '{"a": 1, "b": "x"}\n')]
)
def test_text_formats_are_told_by_the_suffix_whatever_its_case(write, name, text):
    assert _rows([write(name, text)]) == [{"a": 1, "b": "x"}]
    assert _rows([write(name.upper(), text)]) == [{"a": 1, "b": "x"}]


def test_parquet_keeps_its_types(tmp_path):
    _parquet(tmp_path, {"a": pa.array([1], pa.int16()), "b": [None]})
    with scan_source(DatasetSpec(path="x"), [tmp_path / "snapshot.parquet"]) as reader:
        assert reader.schema.field("a").type == pa.int16()


def test_a_format_that_is_set_outweighs_the_suffix(write):
    assert _rows([write("1.data", "a\n1\n")], format="csv") == [{"a": 1}]


@pytest.mark.parametrize(("names", "kinds"), [(["1.xlsx"], "'.xlsx'"), (["1.csv", "2.parquet"], "'csv', 'parquet'")])
def test_files_of_an_unknown_kind_or_of_two_are_refused(write, names, kinds):
    with pytest.raises(DataError, match=rf"'the path' are of kind {kinds}; one of csv, parquet and jsonl"):
        _rows([write(name, "a\n1\n") for name in names])


def test_names_and_values_with_quotes_are_names_and_values(write, tmp_path):
    folder = tmp_path / "it's"
    folder.mkdir()
    (folder / "a.csv").write_text('"a ""b""",at\n1,2026-01-01\n')
    assert _rows([folder / "a.csv"], timestamp="at") == [{'a "b"': 1, "at": date(2026, 1, 1)}]
    parquet = _parquet(tmp_path, {'a "b"': [1.0, 2.0]})
    assert quantiles(parquet, 'a "b"', 1) == [1.0, 2.0]


DAYS = "at,n\n2026-01-01,1\n2026-01-02,2\n2026-01-03,3\n,4\n"


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        ({}, [1, 2, 3, 4]),
        ({"window_start": "2026-01-02"}, [2, 3, 4]),
        ({"window_end": "2026-01-02"}, [1, 4]),
        ({"window_start": "2026-01-02", "window_end": "2026-01-03"}, [2, 4]),
        ({"window_start": "2026-01-02T01:00:00+01:00"}, [2, 3, 4]),
        ({"window_start": "2026-01-02T00:00:00-01:00"}, [3, 4]),
    ],
)
def test_a_window_cuts_rows_and_keeps_those_without_a_timestamp(write, window, kept):
    assert [row["n"] for row in _rows([write("1.csv", DAYS)], timestamp="at", **window)] == kept


def test_a_window_keeps_rows_whose_timestamp_is_none_for_the_validation_to_see(write):
    file = write("1.csv", "at,n\n2026-01-01,1\nyesterday,2\n2026-02-01,3\n")
    assert [row["n"] for row in _rows([file], timestamp="at", window_start="2026-01-15")] == [2, 3]


@pytest.mark.parametrize("window", [{}, {"window_start": "2026-01-01"}])
def test_a_timestamp_column_that_is_not_there_is_named_with_a_suggestion(write, window):
    with pytest.raises(DataError) as caught:
        _rows([write("1.csv", "at_time,n\n2026-01-01,1\n")], timestamp="at_tme", **window)
    message = str(caught.value)
    assert "The files at 'the path': the timestamp column 'at_tme' is not in the data" in message
    assert "Columns: 'at_time', 'n'. Did you mean 'at_time'?" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [("1.parquet", b"no parquet at all"), ("1.jsonl", b'{"a": 1\n{"b"}\n'), ("1.csv", b"a,b\n1,\xff\xfe\n")],
)
def test_a_file_that_can_not_be_read_is_named_by_its_path(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="The files at 'the path' can't be read: "):
        _rows([tmp_path / name])


def test_a_file_with_a_header_alone_has_no_rows(write):
    assert _rows([write("1.csv", "a,b\n")]) == []


def test_without_a_query_the_features_are_the_rows_of_the_snapshot_in_their_order(tmp_path):
    parquet = _parquet(tmp_path, {"n": [3, 1, 2]})
    assert _features(parquet, None) == [{"n": 3}, {"n": 1}, {"n": 2}]


def test_feature_rows_come_in_the_same_order_however_the_query_gives_them(tmp_path):
    parquet = _parquet(
        tmp_path,
        {"z": [1, 2, 1, 3], "at": [date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 2), None], "a": [9, 8, 7, 6]},
    )
    orders = ("", "ORDER BY a", "ORDER BY a DESC", "ORDER BY random()")
    found = [_features(parquet, f"SELECT * FROM dataset {order}", "at") for order in orders]
    assert [row["a"] for row in found[0]] == [8, 7, 9, 6]
    assert all(rows == found[0] for rows in found)


def test_a_query_makes_lags_and_may_end_with_a_semicolon_or_a_comment(tmp_path):
    parquet = _parquet(tmp_path, {"n": [1, 2]})
    query = "SELECT n, lag(n) OVER (ORDER BY n) AS before FROM dataset"
    expected = [{"n": 1, "before": None}, {"n": 2, "before": 1}]
    for end in ("", ";", " ;\n", "\n-- the last line"):
        assert _features(parquet, query + end) == expected


@pytest.mark.parametrize(
    "query", ["SELECT nope FROM dataset", "SELEC", "SELECT * FROM other", "SELECT 'x'::INT FROM dataset"]
)
def test_a_query_that_fails_is_named_as_what_the_user_wrote(tmp_path, query):
    with pytest.raises(DataError, match=r"data\.features can't be read: "):
        _features(_parquet(tmp_path, {"n": [1]}), query)


def test_features_have_to_keep_the_timestamp(tmp_path):
    parquet = _parquet(tmp_path, {"n": [1], "at": [date(2026, 1, 1)]})
    with pytest.raises(DataError, match=r"data\.features: the timestamp column 'at' is not in the data. Columns: 'n'"):
        _features(parquet, "SELECT n FROM dataset", "at")


@pytest.mark.parametrize(("fraction", "day"), [(0.1, 10), (0.3, 8), (0.5, 6)])
def test_the_cut_leaves_about_the_fraction_of_the_rows_behind_it(tmp_path, fraction, day):
    days = [datetime.fromisoformat(f"2026-01-{number:02d}") for number in (3, 1, 2, 10, 4, 9, 5, 8, 6, 7)]
    cut = time_cut(_parquet(tmp_path, {"at": days}), DatasetSpec(path="x", timestamp="at"), fraction)
    assert abs(sum(moment >= cut for moment in days) - 10 * fraction) <= 1
    assert cut.day in (day, day - 1)


def test_the_cut_is_made_among_the_feature_rows(tmp_path):
    parquet = _parquet(tmp_path, {"at": [date(2026, 1, day) for day in range(1, 11)]})
    data = DatasetSpec(path="x", timestamp="at", features="SELECT * FROM dataset WHERE \"at\" > DATE '2026-01-08'")
    assert time_cut(parquet, data, 0.5) >= date(2026, 1, 9)


@pytest.mark.parametrize("query", [None, "SELECT * FROM dataset WHERE false"])
def test_a_cut_without_any_timestamp_is_an_error(tmp_path, query):
    parquet = _parquet(tmp_path, {"at": pa.array([None, None], pa.timestamp("us"))})
    with pytest.raises(DataError, match="at least one row that has one"):
        time_cut(parquet, DatasetSpec(path="x", timestamp="at", features=query), 0.2)


def test_the_time_range_leaves_out_what_is_no_timestamp(tmp_path):
    parquet = _parquet(tmp_path, {"at": ["2026-01-02", "soon", None, "2026-01-01 10:00:00"], "n": ["x", None, "", "y"]})
    assert time_range(parquet, "at") == (
        datetime.fromisoformat("2026-01-01T10:00"),
        datetime.fromisoformat("2026-01-02"),
    )
    assert time_range(parquet, "n") == (None, None)


def test_quantiles_are_of_the_finite_values_and_ascend_to_the_largest(tmp_path):
    values = [5.0, 1.0, 3.0, None, float("nan"), float("inf"), 2.0, 4.0, float("-inf")]
    found = quantiles(_parquet(tmp_path, {"n": values}), "n", 4)
    assert found == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("values", [[None], [float("nan")], []])
def test_without_a_finite_value_there_are_no_quantiles(tmp_path, values):
    assert quantiles(_parquet(tmp_path, {"n": pa.array(values, pa.float64())}), "n", 4) == []
