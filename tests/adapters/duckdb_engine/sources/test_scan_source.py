from __future__ import annotations

import contextlib
import gzip
import json
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import files_in_window, scan_source
from airflow_mlops.adapters.duckdb_engine._engine import open_engine
from airflow_mlops.core.data.snapshot import SourceFile, Window
from airflow_mlops.errors import DataError, UnavailableError
from airflow_mlops.specs import DatasetSpec


@pytest.fixture
def write(tmp_path):
    def _write(name: str, text: str) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return _write


def _rows(files: list[Path], **settings: Any) -> list[dict[str, Any]]:
    with scan_source(DatasetSpec(path="the path", **settings), files) as reader:
        return reader.read_all().to_pylist()


def _parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def _day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def test_rows_come_in_the_order_of_the_files_and_of_their_lines(write):
    files = [write("b.csv", "n\n3\n1\n"), write("a.csv", "n\n2\n")]
    assert [row["n"] for row in _rows(files)] == [3, 1, 2]


def test_columns_are_matched_by_name_and_one_that_a_file_lacks_is_null(write):
    files = [write("1.csv", "at,temp\n2026-01-01,1.5\n"), write("2.csv", "temperature,at\n2.5,2026-01-02\n")]
    assert _rows(files) == [
        {"at": date(2026, 1, 1), "temp": 1.5, "temperature": None},
        {"at": date(2026, 1, 2), "temp": None, "temperature": 2.5},
    ]


def test_one_text_among_many_numbers_makes_the_column_text(write):
    lines = "\n".join(map(str, range(30_000)))
    file = write("1.csv", f"n\n{lines}\nn/a\nbroken\n")
    with scan_source(DatasetSpec(path="x"), [file], exact_types=True) as reader:
        table = reader.read_all()
    assert str(table.schema.field("n").type) == "string"
    assert table["n"].to_pylist()[-2:] == ["n/a", "broken"]


@pytest.mark.parametrize(
    ("name", "text"), [("1.csv", "a,b\n1,x\n"), ("1.tsv", "a\tb\n1\tx\n"), ("1.jsonl", '{"a": 1, "b": "x"}\n')]
)
def test_text_formats_are_told_by_the_suffix_whatever_its_case(write, name, text):
    assert _rows([write(name, text)]) == [{"a": 1, "b": "x"}]
    assert _rows([write(name.upper(), text)]) == [{"a": 1, "b": "x"}]


def test_parquet_keeps_its_types(tmp_path):
    file = _parquet(tmp_path / "1.parquet", a=pa.array([1], pa.int16()))
    with scan_source(DatasetSpec(path="x"), [file]) as reader:
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


def test_a_file_with_a_header_alone_has_no_rows(write):
    assert _rows([write("1.csv", "a,b\n")]) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1.parquet", b"no parquet at all", "No magic bytes"),
        ("1.parquet", b"PAR1....PAR1", "Footer length"),
        ("1.jsonl", b'{"a": 1\n{"b"}\n', "at byte 9 in line 2"),
        ("1.jsonl", b'{"a": 1}\n{"a": 2', "Malformed JSON in file"),
        ("1.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 300_000)[:-9], "Unexpected end of GZIP stream"),
    ],
)
def test_a_file_that_can_not_be_read_is_bad_data_and_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="The files at 'the path' can't be read: ") as caught:
        _rows([tmp_path / name])
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_a_file_that_is_damaged_in_the_middle_is_bad_data(tmp_path):
    file = _parquet(tmp_path / "1.parquet", n=list(range(200_000)), m=list(range(200_000)))
    content = bytearray(file.read_bytes())
    content[1_000:60_000] = bytes(59_000)
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match="The files at 'the path' can't be read: "):
        _rows([file])


@pytest.mark.parametrize("name", ["1.csv", "1.parquet", "1.jsonl"])
def test_a_file_that_is_gone_has_changed(tmp_path, name):
    with pytest.raises(DataError, match="'the path' changed while they were read"):
        _rows([tmp_path / name])


def test_a_storage_that_fails_is_an_outage_and_no_bad_data(tmp_path):
    (tmp_path / "1.csv").mkdir()  # a folder can't be read as a file, whoever asks
    with pytest.raises(UnavailableError, match="'the path': the engine failed"):
        _rows([tmp_path / "1.csv"])


def test_an_error_of_whom_the_rows_are_given_to_is_theirs(write):
    file = write("1.csv", "a\n1\n")
    with pytest.raises(OSError, match="the disk is full"), scan_source(DatasetSpec(path="x"), [file]):
        raise OSError("the disk is full")


def test_compressed_json_lines_are_read(tmp_path):
    (tmp_path / "1.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert _rows([tmp_path / "1.jsonl.gz"]) == [{"a": 1}]


def test_times_in_json_lines_are_read_as_carefully_as_in_csv(write):
    lines = '{"at": "2026-01-01T00:00:00+01:00", "day": "2026-01-01", "n": "1", "d": "01/02/2026"}\n'
    (row,) = _rows([write("1.jsonl", lines)])
    assert row["at"].astimezone(UTC) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert (row["day"], row["n"], row["d"]) == (date(2026, 1, 1), "1", "01/02/2026")
    mixed = write("2.jsonl", '{"at": "2026-01-01T00:00:00+01:00"}\n{"at": "2026-01-01T00:00:00"}\n')
    assert [row["at"] for row in _rows([mixed])] == ["2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00"]
    with pytest.raises(DataError, match="the timestamp column 'at' has 1 value"):
        _rows([mixed], timestamp="at")


def test_parquet_files_that_disagree_on_what_a_column_is_are_refused(tmp_path):
    naive = pa.array([_day(1).replace(tzinfo=None)], pa.timestamp("us"))
    files = [
        _parquet(tmp_path / "1.parquet", at=naive, n=[1]),
        _parquet(tmp_path / "2.parquet", at=naive.cast(pa.timestamp("us", "UTC")), n=[1.5]),
    ]
    with pytest.raises(DataError) as caught:
        _rows(files)
    message = str(caught.value)
    assert "Column 'at' is TIMESTAMP in" in message
    assert "1.parquet and TIMESTAMP WITH TIME ZONE in" in message


def test_parquet_files_may_differ_in_the_width_of_numbers_and_in_what_is_null_throughout(tmp_path):
    files = [
        _parquet(tmp_path / "1.parquet", n=pa.array([1], pa.int32()), s=pa.array([None])),
        _parquet(tmp_path / "2.parquet", n=[2.5], s=["x"], nested=[{"n": "a"}]),
    ]
    assert [(row["n"], row["s"]) for row in _rows(files)] == [(1, None), (2.5, "x")]
    assert [(row["n"], row["s"]) for row in _rows([files[1], files[1]])] == [(2.5, "x"), (2.5, "x")]


@pytest.mark.parametrize("name", ["1.csv", "1.parquet", "1.jsonl"])
def test_partitions_are_columns_of_the_type_that_all_their_values_have(tmp_path, write, name):
    files = []
    for day, region in (("2026-01-01", "7"), ("2026-01-02", "x")):
        place = f"day={day}/region={region}/{name}"
        text = "n\n1\n" if name == "1.csv" else '{"n": 1}\n'
        files.append(_parquet(tmp_path / place, n=[1]) if name == "1.parquet" else write(place, text))
    assert _rows(files, partitioned=True) == [
        {"n": 1, "day": date(2026, 1, 1), "region": "7"},
        {"n": 1, "day": date(2026, 1, 2), "region": "x"},
    ]
    assert _rows(files) == [{"n": 1}, {"n": 1}]


def test_partitions_are_kept_by_the_copies_of_files_in_another_encoding(tmp_path):
    file = tmp_path / "day=2026-01-01" / "1.csv"
    file.parent.mkdir()
    file.write_bytes("s\nä\n".encode("cp1252"))
    rows = _rows([file], partitioned=True, csv={"encoding": "cp1252"})
    assert rows == [{"s": "ä", "day": date(2026, 1, 1)}]


def test_files_of_different_partitions_are_refused(write):
    files = [write("day=2026-01-01/1.csv", "n\n1\n"), write("1.csv", "n\n1\n")]
    with pytest.raises(DataError, match=r"lies in partitions none, the first file in 'day'; data\.partitioned"):
        _rows(files, partitioned=True)


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (Window(), ["01", "02", "03", "x", "__HIVE_DEFAULT_PARTITION__"]),
        (Window(start=_day(2)), ["02", "03", "x", "__HIVE_DEFAULT_PARTITION__"]),
        (Window(end=_day(2)), ["01", "x", "__HIVE_DEFAULT_PARTITION__"]),
        (Window(start=_day(2), end=_day(3)), ["02", "x", "__HIVE_DEFAULT_PARTITION__"]),
    ],
)
def test_only_files_whose_partition_may_lie_in_the_window_are_read(window, kept):
    days = [f"2026-01-{day}" if day.isdigit() else day for day in ("01", "02", "03", "x", "__HIVE_DEFAULT_PARTITION__")]
    files = [SourceFile(path=f"/in/day={day}/a.csv", size=1, stamp="1") for day in days]
    found = files_in_window(files, "day", window)
    assert [file.path.split("=")[1].split("/")[0].removeprefix("2026-01-") for file in found] == kept
    assert files_in_window(files, "at", window) == files


def test_partitions_by_the_hour_with_encoded_names_are_moments(write):
    files = [write(f"at=2026-01-01 {hour:02d}%3A00%3A00/1.csv", "n\n1\n") for hour in (9, 10)]
    listed = [SourceFile(path=str(file), size=4, stamp="1") for file in files]
    window = Window(start=datetime(2026, 1, 1, 10, tzinfo=UTC))
    (found,) = files_in_window(listed, "at", window)
    data = DatasetSpec(path="x", partitioned=True, timestamp="at")
    with scan_source(data, [found.path], window) as rows:
        assert rows.read_all().to_pylist() == [{"n": 1, "at": datetime.fromisoformat("2026-01-01T10:00")}]


def test_a_window_reads_text_with_a_time_zone_as_the_moment_that_it_is(write):
    file = write("1.csv", "at,n\n2026-01-02T00:30:00+01:00,1\nsoon,2\n")
    assert [row["n"] for row in _rows([file], timestamp="at", window_start="2026-01-02")] == [2]


@pytest.mark.parametrize("name", ["a[1].csv", "a?.csv", "a*.csv"])
def test_a_name_that_looks_like_a_pattern_is_a_name(write, name):
    write("a1.csv", "n\n9\n")
    assert _rows([write(name, "n\n1\n")]) == [{"n": 1}]


def test_nested_columns_do_not_hide_that_others_disagree(tmp_path):
    nested = pa.array([[1]])
    ids = [_parquet(tmp_path / f"{n}.parquet", id=pa.array([v]), n=nested) for n, v in enumerate((1, "x"))]
    with pytest.raises(DataError, match=r"Column 'id' is BIGINT in .*0\.parquet and VARCHAR in .*1\.parquet"):
        _rows(ids)
    moments = [
        _parquet(tmp_path / f"{zone}.parquet", at=pa.array([_day(1)], pa.timestamp("us", zone)), n=nested)
        for zone in (None, "Europe/Berlin")
    ]
    with pytest.raises(DataError, match="Column 'at' is TIMESTAMP in"):
        _rows(moments)


@pytest.mark.parametrize(("one", "other"), [([{"a": 1}], [{"a": "x"}]), ([[1]], [["x"]]), ([[1]], ["x"])])
def test_nested_columns_that_disagree_are_refused(tmp_path, one, other):
    with pytest.raises(DataError, match="Column 'n' is "):
        _rows([_parquet(tmp_path / "1.parquet", n=one), _parquet(tmp_path / "2.parquet", n=other)])


MONEY = Decimal("12345678901234567890.12")


@pytest.mark.parametrize(
    ("changed", "other", "shown"),
    [
        (pa.array([5, 2**53 + 1]), pa.array([1.5]), "'9007199254740993'"),
        (pa.array([2**24 + 1], pa.int32()), pa.array([1.5], pa.float32()), "'16777217'"),
        (pa.array([MONEY], pa.decimal128(38, 2)), pa.array([1.5]), f"'{MONEY}'"),
        (pa.array([[2**53 + 1]]), pa.array([[1.5]]), r"'\[9007199254740993\]'"),
        (pa.array([2**63 - 1]), pa.array([1.5]), "'9223372036854775807'"),
    ],
)
def test_numbers_that_the_files_common_type_would_change_are_refused(tmp_path, changed, other, shown):
    files = [_parquet(tmp_path / "1.parquet", id=other), _parquet(tmp_path / "2.parquet", id=changed)]
    with pytest.raises(DataError, match=f"Column 'id' is .*values of it change: {shown}"):
        _rows(files)
    assert _rows(files[1:])[-1]["id"] == changed[-1].as_py()


@pytest.mark.parametrize(
    "exact", [pa.array([2**53 + 2]), pa.array([7], pa.int8()), pa.array([Decimal("0.10")]), pa.array([None, -3])]
)
def test_numbers_that_stay_what_they_are_may_meet_doubles(tmp_path, exact):
    files = [_parquet(tmp_path / "1.parquet", n=[1.5]), _parquet(tmp_path / "2.parquet", n=exact)]
    assert _rows(files)[-1] == {"n": float(exact[-1].as_py())}


def test_unsigned_and_signed_integers_meet_without_a_loss(tmp_path):
    files = [_parquet(tmp_path / "1.parquet", n=[-1])]
    files.append(_parquet(tmp_path / "2.parquet", n=pa.array([2**64 - 1], pa.uint64())))
    assert [row["n"] for row in _rows(files)] == [-1, 2**64 - 1]


@pytest.mark.parametrize("columns", [[{"Id": [1]}, {"id": [2]}], [{"Id": [1], "id": [2]}]])
def test_parquet_columns_that_differ_in_case_only_are_refused(tmp_path, columns):
    with pytest.raises(DataError, match="have a column 'Id' and a column 'id'"):
        _rows([_parquet(tmp_path / f"{number}.parquet", **found) for number, found in enumerate(columns)])


def test_two_parquet_columns_of_one_name_are_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["id", "id"]), tmp_path / "1.parquet")
    with pytest.raises(DataError, match="has two columns 'id'"):
        _rows([tmp_path / "1.parquet"])


@pytest.mark.parametrize("lines", ['{"id": 1}\n{"ID": 2}\n', '{"id": 1, "ID": 2}\n'])
def test_json_keys_that_differ_in_case_only_are_refused(write, lines):
    with pytest.raises(DataError, match="have a column 'ID' and a column 'id'"):
        _rows([write("1.jsonl", lines)])
    assert _rows([write("2.jsonl", '{"id": 1, "id_1": 2, "ID_2": 3}\n')]) == [{"id": 1, "id_1": 2, "ID_2": 3}]


def test_json_keys_in_an_object_that_differ_in_case_only_are_bad_data(write):
    with pytest.raises(DataError, match=r"can't be read: .*Duplicate name"):
        _rows([write("1.jsonl", '{"a": {"id": 1, "ID": 2}}\n')])


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        (["9007199254740993", "1.5"], ["9007199254740993", "1.5"]),
        (["123456789012345678901234567890", "1"], ["123456789012345678901234567890", "1"]),
        (["1e400", "1"], ["1e400", "1"]),
        (["1.5", "2", "1e3"], [1.5, 2.0, 1000.0]),
        (["9007199254740993", "1"], [9007199254740993, 1]),
    ],
)
def test_a_number_in_json_lines_that_a_double_would_change_makes_the_column_text(write, numbers, found):
    lines = "".join(f'{{"n": {number}}}\n' for number in numbers)
    assert [row["n"] for row in _rows([write("1.jsonl", lines)])] == found


@pytest.mark.parametrize("name", ["1.parquet", "1.jsonl"])
def test_a_column_that_is_a_partition_too_is_refused(tmp_path, write, name):
    place = f"day=2026-01-01/{name}"
    is_parquet = name == "1.parquet"
    file = _parquet(tmp_path / place, day=["x"]) if is_parquet else write(place, '{"day": "x"}\n')
    with pytest.raises(DataError, match="columns that are named as their partitions: 'day'"):
        _rows([file], partitioned=True)
    assert _rows([file]) == [{"day": "x"}]


def _damaged(file: Path, first: int, last: int) -> Path:
    content = bytearray(file.read_bytes())
    content[first:last] = random.Random(first).randbytes(len(content[first:last]))
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(("first", "last"), [(4, 60), (4, 12), (1_000, 1_040), (-400, -300), (-40, -8)])
def test_wherever_a_parquet_file_is_damaged_it_is_bad_data_and_no_outage(tmp_path, first, last):
    file = _parquet(tmp_path / "1.parquet", n=list(range(50_000)), s=[f"v{i % 97}" for i in range(50_000)])
    with pytest.raises(DataError, match=r"(?s)'the path' can't be read: .*1\.parquet.*Deliver them again"):
        _rows([_damaged(file, first, last)])


def test_an_engine_has_the_memory_limit_that_it_is_given(tmp_path):
    with contextlib.closing(open_engine(str(tmp_path), "512MB")) as engine:
        ((limit,),) = engine.execute("SELECT current_setting('memory_limit')").fetchall()
    assert limit == "488.2 MiB"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_a_window_cuts_timestamps_of_every_unit(tmp_path, unit, zone):
    at = pa.array([_day(number) for number in range(1, 11)], pa.timestamp(unit, zone or "UTC"))
    file = _parquet(tmp_path / "1.parquet", at=at.cast(pa.timestamp(unit, zone)), n=range(1, 11))
    window = {"window_start": "2026-01-05", "window_end": "2026-01-08"}
    assert [row["n"] for row in _rows([file], timestamp="at", **window)] == [5, 6, 7]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["1", '"x"'], ["1", "x"]),
        (["true", '"x"', "null", '"1"'], ["true", "x", None, "1"]),
        (['{"b": 1}', '"x"', "[1, 2]"], ['{"b":1}', "x", "[1,2]"]),
    ],
)
def test_values_of_several_types_in_json_lines_are_text_without_the_quotes_of_json(write, values, texts):
    lines = "".join(f'{{"a": {value}, "in": {{"l": [{value}]}}}}\n' for value in values)
    found = _rows([write("1.jsonl", lines)])
    assert [row["a"] for row in found] == texts
    assert [row["in"]["l"][0] for row in found] == texts


def test_an_object_in_json_lines_has_columns_however_many_keys_it_has(write):
    row = {f"k{number}": number for number in range(300)}
    assert _rows([write("1.jsonl", json.dumps({**row, "in": row}) + "\n")]) == [{**row, "in": row}]


@pytest.mark.parametrize("lines", ['[{"a": 1}, {"a": 2}]\n', "5\n", '{"a": 1}\n5\n', "{}\n{}\n", '"a"\n', '{"": 1}\n'])
def test_json_lines_that_are_no_objects_are_refused(write, lines):
    with pytest.raises(DataError) as caught:
        _rows([write("1.jsonl", lines)])
    assert "'the path' have a line that is no JSON object, a value without a name, or no value" in str(caught.value)
    assert "Write on each line one object of columns and values." in str(caught.value)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_duration_in_parquet_stays_one(tmp_path, unit):
    spent = pa.array([1, None], pa.duration(unit))
    files = [_parquet(tmp_path / "1.parquet", spent=spent, n=[1, 2]), _parquet(tmp_path / "2.parquet", n=[3])]
    with scan_source(DatasetSpec(path="x"), files) as reader:
        assert reader.read_all()["spent"].combine_chunks().equals(pa.array([1, None, None], pa.duration(unit)))


def test_durations_in_two_units_are_refused(tmp_path):
    files = [_parquet(tmp_path / f"{unit}.parquet", spent=pa.array([1], pa.duration(unit))) for unit in ("s", "ms")]
    with pytest.raises(DataError, match=r"Column 'spent' is duration\[ms\] in .* and duration\[s\] in"):
        _rows(files)


def test_an_index_of_whole_numbers_without_a_name_is_left_out(tmp_path):
    frame = pd.DataFrame({"x": [1, 2, 3]})
    frame.to_parquet(tmp_path / "1.parquet")
    frame[frame["x"] > 1].to_parquet(tmp_path / "2.parquet")
    rows = _rows([tmp_path / "1.parquet", tmp_path / "2.parquet"])
    assert rows == [{"x": n} for n in (1, 2, 3, 2, 3)]


@pytest.mark.parametrize(
    "index", [["a", "b"], pd.to_datetime(["2026-01-01", "2026-01-02"]), pd.MultiIndex.from_product([[1], [2, 3]])]
)
def test_an_index_without_a_name_that_may_say_something_is_refused(tmp_path, index):
    pd.DataFrame({"x": [1, 2]}, index=index).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(DataError, match=r"(?s)'__index_level_0__ .*frame.rename_axis\('time'\).*index=False"):
        _rows([tmp_path / "1.parquet"])


def test_an_index_with_a_name_is_a_column(tmp_path):
    pd.DataFrame({"x": [1]}, index=pd.Index([7], name="i")).to_parquet(tmp_path / "1.parquet")
    assert _rows([tmp_path / "1.parquet"]) == [{"x": 1, "i": 7}]


def test_an_arrow_schema_that_can_not_be_read_is_bad_data(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "1.parquet", store_schema=False)
    with pq.ParquetWriter(tmp_path / "2.parquet", pa.schema({"x": pa.int64()}), store_schema=False) as writer:
        writer.write_table(pa.table({"x": [1]}))
        writer.add_key_value_metadata({"ARROW:schema": "none"})
    assert _rows([tmp_path / "1.parquet"]) == [{"x": 1}]
    with pytest.raises(DataError, match=r"2\.parquet"):
        _rows([tmp_path / "2.parquet"])
