from __future__ import annotations

import gzip
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_mlops.adapters.duckdb_engine import TypesWidenedError, scan_source
from airflow_mlops.errors import DataError, SpecError
from airflow_mlops.specs import DatasetSpec

SAMPLE_ROWS = 30_000
"""More rows than the types are taken from at first."""


@pytest.fixture
def write(tmp_path):
    def _write(content: str | bytes, name: str = "1.csv") -> Path:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return _write


def _table(*files: Path, exact: bool = False, timestamp: str | None = None, **settings: Any) -> pa.Table:
    data = DatasetSpec(path="x", timestamp=timestamp, csv=settings)
    with scan_source(data, files, exact_types=exact) as rows:
        return rows.read_all()


def _types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def _message(*files: Path, error: type[Exception] = DataError, **settings: Any) -> str:
    with pytest.raises(error) as caught:
        _table(*files, **settings)
    return str(caught.value)


def test_each_column_gets_the_type_of_its_values(write):
    file = write(
        "i,d,s,b,day,at\n1,1.5,x,true,2026-01-01,2026-01-01 10:00\n2,NA,,False,2026-01-02,2026-01-02T10:00:01.5\n"
    )
    table = _table(file)
    assert _types(table) == {
        "i": "int64",
        "d": "double",
        "s": "string",
        "b": "bool",
        "day": "date32[day]",
        "at": "timestamp[us]",
    }
    assert table.to_pylist()[1] == {
        "i": 2,
        "d": None,
        "s": None,
        "b": False,
        "day": date(2026, 1, 2),
        "at": datetime.fromisoformat("2026-01-02T10:00:01.500"),
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(write, delimiter):
    file = write("a,b\n1,x y\n2,z\n".replace(",", delimiter))
    assert _table(file).to_pylist() == [{"a": 1, "b": "x y"}, {"a": 2, "b": "z"}]


def test_a_delimiter_inside_quotes_or_in_decimal_numbers_is_not_taken_for_one(write):
    file = write('a;b\n"1,5";"x,y,z"\n2,5;"w, v"\n')
    assert _table(file, decimal=",").to_pylist() == [{"a": 1.5, "b": "x,y,z"}, {"a": 2.5, "b": "w, v"}]


def test_a_delimiter_of_several_characters_is_one(write):
    assert _table(write("a||b\n1||2\n"), delimiter="||").to_pylist() == [{"a": 1, "b": 2}]


def test_a_delimiter_that_is_set_and_is_not_the_files_is_an_error_that_names_the_setting(write):
    message = _message(write("a;b\n1;2\n"), delimiter=",")
    assert "the header on line 1 is a single name, 'a;b', with the delimiter ','" in message
    assert "Set csv.delimiter, which may be ';'" in message


def test_two_files_with_different_delimiters_are_refused_by_name(write):
    message = _message(write("a,b\n1,2\n"), write("a;b\n1;2\n", "2.csv"))
    assert "1.csv is delimited by ','" in message
    assert "2.csv by ';'" in message
    assert "csv.delimiter" in message


def test_a_file_that_two_delimiters_part_equally_well_is_refused_until_one_is_set(write):
    file = write("a;b,c\n1;2,3\n")
    message = _message(file)
    assert "1.csv: ',' and ';' each part its lines into as many fields. Nothing was read" in message
    assert message.endswith("Set csv.delimiter.")
    assert _table(file, delimiter=";").to_pylist() == [{"a": 1, "b,c": "2,3"}]


def test_decimal_commas_and_thousands_are_read_strictly(write):
    file = write("n;i;t\n1.234,5;1.234;1.5\n-0,25;7;2,5\n")
    table = _table(file, decimal=",", thousands=".")
    assert table.to_pylist() == [{"n": 1234.5, "i": 1234, "t": "1.5"}, {"n": -0.25, "i": 7, "t": "2,5"}]


def test_numbers_of_another_country_stay_text_until_it_is_set(write):
    assert _types(_table(write("a;b\n1,5;x\n"))) == {"a": "string", "b": "string"}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8", "gb18030"])
def test_a_file_is_read_in_its_encoding(write, encoding):
    file = write("name,n\nÄrger,1\nüber,2\n".encode(encoding))
    assert _table(file, encoding=encoding)["name"].to_pylist() == ["Ärger", "über"]


def test_a_compressed_file_in_another_encoding_is_read(write):
    file = write(gzip.compress("n\nÄ\n".encode("cp1252")), "1.csv.gz")
    assert _table(file, encoding="cp1252")["n"].to_pylist() == ["Ä"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(write):
    files = [write(b"\xef\xbb\xbfa,b\n1,2\n"), write(b"\xef\xbb\xbfa,b\n3,4\n", "2.csv")]
    assert _table(*files).to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert _table(files[0], encoding="utf-8-sig").column_names == ["a", "b"]


def test_a_byte_of_another_encoding_is_named_by_file_place_and_setting(write):
    content = "a,b\n1,x\n2,ä\n".encode("latin-1")
    message = _message(write(content))
    assert f"1.csv: byte {content.index(0xE4)} (0xe4) is not utf-8" in message
    assert "Set csv.encoding" in message


def test_a_byte_of_another_encoding_far_from_the_beginning_is_named_too(write):
    content = b"a,b\n" + b"1,x\n" * 400_000 + b"2,\xe4\n"
    message = _message(write(content))
    assert f"byte {content.index(0xE4)} (0xe4) is not utf-8" in message
    assert "Line 400002" in message


def test_a_byte_that_the_set_encoding_lacks_is_named_across_blocks(write):
    content = b"a,b\n" + b"1,x\n" * 300_000 + b"2,\x81\n"
    message = _message(write(content), encoding="cp1252")
    assert f"byte {content.index(0x81)} (0x81) is not cp1252" in message


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("1,2", "names that are values: '1', '2'"),
        ("id,2026-01-01", "names that are values: '2026-01-01'"),
        ("id,1.5", "names that are values: '1.5'"),
        ("id,", "an empty name"),
        ("id,ID", "a name twice: 'ID', 'id'"),
    ],
)
def test_a_first_line_that_looks_like_data_is_an_error_that_names_the_settings(write, header, wrong):
    message = _message(write(f"{header}\n3,4\n"))
    assert f"1.csv: the header on line 1 has {wrong}" in message
    assert "`csv.header: false`" in message
    assert "`csv.columns`" in message


def test_a_header_of_names_that_are_listed_may_look_like_data(write):
    file = write("2024,store,2023\n3,a,1\n")
    assert _table(file, columns=["store", "2023", "2024", "2025"]).to_pylist() == [{"2024": 3, "store": "a", "2023": 1}]
    assert "list all of them there" in _message(file)


def test_a_header_of_a_name_that_is_not_listed_is_refused(write):
    message = _message(write("3,a,1\n4,b,2\n"), columns=["store", "2023", "2024"])
    assert "the header on line 1 has names that csv.columns does not list: '3', 'a', '1'" in message


def test_without_a_header_the_columns_have_the_names_that_are_set(write):
    table = _table(write("1,2\n3,4\n"), header=False, columns=["x", "y"])
    assert table.to_pylist() == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]


def test_names_that_do_not_fit_the_columns_are_an_error(write):
    message = _message(write("1,2,3\n3,4,5\n"), header=False, columns=["x", "y"])
    assert "1.csv: line 1 has 3 field(s), 2 were expected" in message


@pytest.mark.parametrize(("line", "n_fields"), [("3", 1), ("3,4,5", 3)])
@pytest.mark.parametrize("n_before", [1, 200_000])
def test_a_ragged_row_is_named_by_file_and_line(write, line, n_fields, n_before):
    message = _message(write("a,b\n" + "1,2\n" * n_before + f"{line}\n" + "5,6\n"))
    assert f"1.csv: line {n_before + 2} has {n_fields} field(s), 2 were expected" in message
    assert "csv.delimiter" in message


@pytest.mark.parametrize("settings", [{}, {"header": False, "columns": ["x", "y"]}])
def test_a_delimiter_after_the_last_field_is_a_field_more(write, settings):
    message = _message(write("x,y\n1,2,\n3,4,\n"), **settings)
    assert "1.csv: line 2 has 3 field(s), 2 were expected: it ends with a delimiter." in message


def test_a_ragged_row_of_the_second_file_is_named_by_it(write):
    message = _message(write("a,b\n1,2\n"), write("a,b\n1,2\n1\n", "2.csv"))
    assert "2.csv: line 3 has 1 field(s)" in message


def test_a_header_of_a_file_in_another_encoding_is_named_by_the_file_and_not_by_its_copy(write, tmp_path):
    message = _message(write("1,2\n".encode("utf-16")), encoding="utf-16")
    assert message.startswith(f"{tmp_path}/1.csv: the header on line 1 has names that are values")


def test_a_line_of_a_file_in_another_encoding_is_named_by_the_file_and_not_by_its_copy(write, tmp_path):
    file = write("a,b\n1,ä\n1\n".encode("cp1252"))
    assert f"{file}: line 3 has 1 field(s)" in _message(file, encoding="cp1252")


@pytest.mark.parametrize("n_after", [1, 600_000])
def test_a_quote_that_is_left_open_is_named_by_file_and_line(write, n_after):
    message = _message(write('a,b\n1,x\n2,"y\n' + "3,z\n" * n_after))
    assert "1.csv: line 3 has a quote that is left open" in message
    assert "csv.quote" in message


def test_quotes_are_plain_text_where_the_setting_is_empty(write):
    assert _table(write('a,b\n1,5"\n2,"x\n'), quote="")["b"].to_pylist() == ['5"', '"x']


def test_line_breaks_inside_quotes_are_values(write):
    assert _table(write('a,b\n1,"x\ny"\n'))["b"].to_pylist() == ["x\ny"]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_in_other_ways_but_in_one_way(write, end):
    assert _table(write(f"a,b{end}1,2{end}3,4{end}")).num_rows == 2
    if end == "\r\n":
        assert "its line ends are mixed" in _message(write("a,b\r\n1,2\n3,4\r\n"))


def test_a_last_line_without_an_end_is_refused_until_it_is_allowed(write):
    file = write("a,b\n1,2\n3,4")
    message = _message(file)
    assert "1.csv: line 3, the last one, has no end" in message
    assert "`csv.final_newline: optional`" in message
    assert _table(file, final_newline="optional").num_rows == 2


def test_a_last_line_without_an_end_is_seen_in_a_compressed_file_too(write):
    file = write(gzip.compress(b"a,b\n1,2\n3,45"), "1.csv.gz")
    assert "1.csv.gz: line 3, the last one, has no end" in _message(file)
    assert _table(file, final_newline="optional").num_rows == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_of_a_file_in_another_encoding_that_is_what_is_said(write, encoding):
    message = _message(write("a,b\n1,2\n".encode(encoding)))
    assert "Set csv.encoding to what the file is written in, such as" in message


def test_a_zero_byte_in_a_value_is_a_value(write):
    assert _table(write("a,b\n1,x\0y\n"))["b"].to_pylist() == ["x\0y"]


def test_a_last_line_without_an_end_is_seen_in_another_encoding_too(write):
    assert "1.csv: line 2, the last one, has no end" in _message(write("a,b\n1,2".encode("utf-16")), encoding="utf-16")


def test_a_last_line_with_too_few_fields_is_refused_whatever_its_end(write):
    message = _message(write("a,b\n1,2\n3"), final_newline="optional")
    assert "1.csv: line 3 has 1 field(s), 2 were expected" in message
    assert "cut off" in message


@pytest.mark.parametrize("n_rows", [2, 300_000])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_compressed_file_that_is_cut_off_is_an_error(write, n_rows, encoding):
    file = write(gzip.compress(b"a,b\n" + b"1,2\n" * n_rows)[:-6], "1.csv.gz")
    message = _message(file, encoding=encoding)
    assert "1.csv.gz" in message
    assert "GZIP" in message or "cut off" in message


def test_a_file_that_is_called_compressed_and_is_not_is_an_error(write):
    assert "1.csv.gz is cut off, or no gzip file" in _message(write(b"a,b\n1,2\n", "1.csv.gz"))


def test_what_stands_for_a_missing_value_is_a_setting(write):
    file = write("n,s\n?,?\n1,NA\n-,x\n")
    assert _table(file, missing_values=["?", "-"]).to_pylist() == [
        {"n": None, "s": None},
        {"n": 1, "s": "NA"},
        {"n": None, "s": "x"},
    ]


def test_no_value_is_missing_where_nothing_stands_for_one(write):
    assert _table(write('n,s\n1,NA\n2,""\n'), missing_values=[])["s"].to_pylist()[0] == "NA"


def test_spaces_after_delimiters_are_left_out_where_it_is_set(write):
    file = write('a, b, n\n1, ?, 1.5\n2,  x, ?\n3, "q, r", 2\n')
    table = _table(file, skip_initial_space=True, missing_values=["?"])
    assert table.to_pylist() == [
        {"a": 1, "b": None, "n": 1.5},
        {"a": 2, "b": "x", "n": None},
        {"a": 3, "b": "q, r", "n": 2.0},
    ]


def test_types_that_are_set_win_over_those_that_are_found(write):
    table = _table(write("zip,n,at\n01234,1,2026-01-01\n"), types={"zip": "varchar", "n": "FLOAT", "at": "TIMESTAMP"})
    assert _types(table) == {"zip": "string", "n": "float", "at": "timestamp[us]"}
    assert table["zip"].to_pylist() == ["01234"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", "8.5"),
        ("INTEGER", "8x"),
        ("TINYINT", "300"),
        ("BOOLEAN", "1"),
        ("DATE", "2026-01-01 10:00"),
        ("TIMESTAMP", "2026-01-01T10:00:00+01:00"),
        ("TIMESTAMPTZ", "2026-01-01T10:00:00"),
    ],
)
def test_a_value_that_is_not_of_the_type_that_was_set_is_named_and_never_bent(write, kind, value):
    good = {"I": "7", "T": "7", "B": "true", "D": "2026-01-01"}[kind[0]]
    good = {"TIMESTAMP": "2026-01-01", "TIMESTAMPTZ": "2026-01-01T00:00Z"}.get(kind, good)
    message = _message(write(f"n\n{good}\n{value}\n"), types={"n": kind})
    assert f"1.csv: column 'n' has '{value}' at about line 3, csv.types says {kind}" in message


def test_a_type_or_a_column_that_there_is_not_is_an_error_with_a_suggestion(write):
    file = write("zip\n7\n")
    assert "'INTEGR' of column 'zip' is no type of DuckDB. Did you mean 'INTEGER'?" in _message(
        file, error=SpecError, types={"zip": "INTEGR"}
    )
    assert "csv.types names the column 'zp'" in _message(file, error=SpecError, types={"zp": "INTEGER"})
    assert "is no type" in _message(file, error=SpecError, types={"zip": "INT) FROM x; --"})


@pytest.mark.parametrize(
    ("first", "later", "kind"),
    [
        ("1", "1.5", "double"),
        ("1", "x", "string"),
        ("1.5", "x", "string"),
        ("1", "9007199254740993", "int64"),
        ("1", "99999999999999999999", "string"),
        ("", "5", "int64"),
        ("true", "1", "string"),
        ("2026-01-01", "2026-01-01 10:00", "timestamp[us]"),
        ("2026-01-01", "2026-13-01", "string"),
        ("2026-01-01 10:00", "2026-01-01T10:00:00+01:00", "string"),
        ("2026-01-01T10:00Z", "2026-01-01T10:00:00", "string"),
    ],
)
def test_a_late_value_of_another_type_ends_the_reading_and_the_next_one_knows_all_rows(write, first, later, kind):
    file = write("v,o\n" + f"{first},1\n" * SAMPLE_ROWS + f"{later},1\n")
    with pytest.raises(TypesWidenedError):
        _table(file)
    table = _table(file, exact=True)
    assert _types(table)["v"] == kind
    assert table["v"].null_count == (SAMPLE_ROWS if not first else 0)
    assert "" not in table["v"].to_pylist()


def test_files_that_widen_one_after_the_other_are_read_as_the_widest(write):
    files = [write("n\n" + "1\n" * 10), write("n\n2.5\n", "2.csv")]
    assert _types(_table(*files, exact=True)) == {"n": "double"}


def test_a_column_without_any_value_is_text_at_once(write):
    assert _types(_table(write("a,b\n1,\n2,NA\n"))) == {"a": "int64", "b": "string"}


def test_long_whole_numbers_are_kept_to_the_last_digit(write):
    table = _table(write("a,b\n9007199254740993,123456789012345678901\n"))
    assert table.to_pylist() == [{"a": 9007199254740993, "b": "123456789012345678901"}]


def test_dates_in_a_form_that_can_be_two_days_stay_text_until_it_is_set(write):
    file = write("day,at,n\n01/02/2026,01/02/2026 10:30,1\n")
    assert _types(_table(file)) == {"day": "string", "at": "string", "n": "int64"}
    assert _table(file, timestamp_format="%d/%m/%Y")["day"].to_pylist() == [date(2026, 2, 1)]
    at = _table(file, timestamp_format="%m/%d/%Y %H:%M")["at"].to_pylist()
    assert at == [datetime.fromisoformat("2026-01-02T10:30")]


def test_a_form_that_the_engine_does_not_know_is_the_specs_fault(write):
    message = _message(write("day\n2026-01-01\n"), error=SpecError, timestamp_format="%Q")
    assert "csv.timestamp_format '%Q' can't be used" in message


def test_dates_in_two_forms_stay_text(write):
    file = write("a\n31.12.2026\n2026-01-01\n")
    assert _types(_table(file, timestamp_format="%d.%m.%Y")) == {"a": "string"}


def test_times_with_a_zone_become_moments_in_utc(write):
    table = _table(write("at\n2026-01-01T00:00:00+01:00\n2026-01-01T00:00:00Z\n2026-01-01 00:00:00.5-0230\n"))
    assert str(table.schema.field("at").type) == "timestamp[us, tz=UTC]"
    assert [at.astimezone(UTC).isoformat() for at in table["at"].to_pylist()] == [
        "2025-12-31T23:00:00+00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T02:30:00.500000+00:00",
    ]


@pytest.mark.parametrize("in_one_file", [True, False])
def test_times_with_and_without_a_zone_are_never_mixed(write, in_one_file):
    zoned, naive = "2026-01-01T00:00:00+01:00\n", "2026-01-01T00:00:00\n"
    files = [write(f"at\n{zoned}{naive}")] if in_one_file else [write(f"at\n{zoned}"), write(f"at\n{naive}", "2.csv")]
    assert _types(_table(*files)) == {"at": "string"}
    message = _message(*files, timestamp="at")
    assert "the timestamp column 'at' has 1 value(s) with a time zone and 1 without one" in message


def test_columns_in_another_order_are_matched_by_name_and_rows_keep_the_order_of_the_files(write):
    files = [write("a,b\n1,2\n"), write("b,a,c\n4,3,x\n", "2.csv"), write("a,b\n5,6\n", "3.csv")]
    assert [tuple(row.values()) for row in _table(*files, exact=True).to_pylist()] == [
        (1, 2, None),
        (3, 4, "x"),
        (5, 6, None),
    ]


def test_the_order_of_rows_is_kept_over_large_files_with_different_headers(write):
    n = 150_000
    texts = ["\n".join(f"{row},{row}" for row in range(start, start + n)) for start in (0, n, 2 * n)]
    headers = ("n,a", "n,b", "n,a")
    files = [
        write(f"{header}\n{text}\n", f"{header}{text[:3]}.csv") for header, text in zip(headers, texts, strict=True)
    ]
    assert _table(*files)["n"].to_pylist() == list(range(3 * n))


def test_names_that_differ_in_case_only_from_file_to_file_are_refused(write):
    message = _message(write("temp\n1\n"), write("Temp\n1\n", "2.csv"))
    assert "have a column 'temp' and a column 'Temp'" in message


def test_names_with_quotes_braces_and_percent_signs_are_names(write):
    names = ['a "b"', "it's", "{0}", "100%", "a\\b"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    table = _table(write(f"{header}\n1,2.5,true,2026-01-01,x\n"))
    assert table.column_names == names
    assert table.to_pylist() == [dict(zip(names, [1, 2.5, True, date(2026, 1, 1), "x"], strict=True))]


@pytest.mark.skipif("MLOPS_TEST_DATA" not in os.environ, reason="MLOPS_TEST_DATA names no folder with real data")
def test_the_adult_data_is_read_with_its_spaces_and_question_marks():
    columns = [f"column_{number}" for number in range(15)]
    file = Path(os.environ["MLOPS_TEST_DATA"]) / "adult-train.csv"
    table = _table(file, header=False, columns=columns, skip_initial_space=True, missing_values=["?"])
    assert table.num_rows == 32_561
    assert _types(table)["column_0"] == "int64"
    assert sorted(set(table["column_14"].to_pylist())) == ["<=50K", ">50K"]
    assert table["column_1"].null_count == 1836


@pytest.mark.parametrize(
    "values",
    [
        ["2023_01", "2023_02"],
        ["1_000", "1000"],
        ["1_000.5", "1.5"],
        ["1e400", "1"],
        ["-1e400", "inf"],
        ["9007199254740993", "1.5"],
        ["123456789012345678901234567890", "1.5"],
        ["1" * 40, "1.5"],
        ["0x1F", "1"],
    ],
)
def test_what_a_number_would_change_stays_text(write, values):
    for exact in (False, True):
        table = _table(write("v,o\n" + "".join(f"{value},1\n" for value in values)), exact=exact)
        assert table["v"].to_pylist() == values


@pytest.mark.parametrize("later", ["1_000", "1e400", "9007199254740993"])
def test_a_late_value_that_a_number_would_change_makes_the_column_text(write, later):
    file = write("v,o\n" + "1.5,1\n" * SAMPLE_ROWS + f"{later},1\n")
    with pytest.raises(TypesWidenedError):
        _table(file)
    assert _table(file, exact=True)["v"].to_pylist()[-1] == later


def test_large_and_infinite_numbers_that_stay_what_they_are_are_numbers(write):
    values = ["9007199254740994", "1e300", "inf", "-Infinity", ".5", "1.", "+2", " 3", "123456789012345678.5"]
    found = _table(write("v\n" + "".join(f"{value}\n" for value in values)))["v"].to_pylist()
    assert found == [float(value) for value in values]


@pytest.mark.parametrize(
    ("kind", "value"), [("DOUBLE", "1_000"), ("FLOAT", "1e39"), ("DECIMAL(9, 2)", "1_0.5"), ("DOUBLE", "1e400")]
)
def test_a_number_that_the_set_type_would_change_is_named(write, kind, value):
    assert f"column 'v' has '{value}'" in _message(write(f"v\n1\n{value}\n"), types={"v": kind})


def test_a_column_that_is_named_as_a_partition_is_refused(tmp_path):
    file = tmp_path / "day=2026-01-01" / "1.csv"
    file.parent.mkdir()
    file.write_text("Day,v\n2030-01-01,1\n")
    data = DatasetSpec(path="the path", partitioned=True)
    with pytest.raises(DataError, match="columns that are named as their partitions: 'Day'"), scan_source(data, [file]):
        pass
