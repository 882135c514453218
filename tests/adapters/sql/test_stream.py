from __future__ import annotations

import os
import re
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from airflow_mlops.adapters.sql import athena_query, stream_query
from airflow_mlops.adapters.sql.psycopg2_times import strict_times
from airflow_mlops.adapters.sql.stream import BATCH_ROWS
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, SpecError, UnavailableError
from airflow_mlops.specs.data import DatasetSpec

POSTGRES = os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test")
OPEN = Window()


@pytest.fixture(scope="module")
def schema() -> Iterator[str]:
    """A schema of our own in a real PostgreSQL."""
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3})
    name = f"mlops_{uuid.uuid4().hex[:12]}"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    yield name
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


def _engine(driver: str, schema: str, **options: str) -> sa.Engine:
    settings = " ".join(f"-c {key}={value}" for key, value in {"search_path": schema, **options}.items())
    url = sa.make_url(POSTGRES).set(drivername=f"postgresql+{driver}")
    return sa.create_engine(url, connect_args={"options": settings}, poolclass=sa.NullPool, hide_parameters=True)


@pytest.fixture(params=["psycopg2", "psycopg"])
def postgres(request: pytest.FixtureRequest, schema: str) -> sa.Engine:
    pytest.importorskip(request.param)
    return _engine(request.param, schema)


@pytest.fixture
def sqlite(tmp_path: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{tmp_path}/data.db")


@pytest.fixture(params=["psycopg2", "psycopg", "sqlite"])
def anywhere(request: pytest.FixtureRequest) -> sa.Engine:
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite")
    return _engine(request.param, request.getfixturevalue("schema"))


def _read(engine: sa.Engine, query: str, timestamp: str | None = None, window: Window = OPEN) -> pa.Table:
    with stream_query(engine, query, timestamp=timestamp, window=window) as rows:
        return rows.read_all()


def _fails(kind: type[Exception], engine: sa.Engine, query: str, *settings: Any) -> str:
    with pytest.raises(kind) as caught:
        _read(engine, query, *settings)
    return str(caught.value)


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


# Types


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("true", pa.bool_(), True),
        ("1::int2", pa.int16(), 1),
        ("1", pa.int32(), 1),
        ("1::int8", pa.int64(), 1),
        ("1.5::float4", pa.float32(), 1.5),
        ("1.5::float8", pa.float64(), 1.5),
        ("1.5::numeric", pa.float64(), 1.5),
        ("1.5::numeric(10, 2)", pa.float64(), 1.5),
        ("7::numeric(18, 0)", pa.int64(), 7),
        ("7::numeric(19, 0)", pa.float64(), 7.0),
        ("'a'::text", pa.string(), "a"),
        ("'a'::varchar(3)", pa.string(), "a"),
        ("'a'::char(3)", pa.string(), "a  "),
        ("'00000000-0000-0000-0000-00000000000a'::uuid", pa.string(), "00000000-0000-0000-0000-00000000000a"),
        ("""'{"b": ["ä", 1, null]}'::json""", pa.string(), '{"b": ["ä", 1, null]}'),
        ("""'{"b": ["ä", 1, null]}'::jsonb""", pa.string(), '{"b": ["ä", 1, null]}'),
        ("'10.0.0.1'::inet", pa.string(), "10.0.0.1"),
        ("'a'::bytea", pa.binary(), b"a"),
        ("'2026-01-31'::date", pa.date32(), date(2026, 1, 31)),
        (
            "'2026-01-31 10:00:00.000001'::timestamp",
            pa.timestamp("us"),
            _utc(2026, 1, 31, 10, 0, 0, 1).replace(tzinfo=None),
        ),
        ("'2026-01-31 10:00+02'::timestamptz", pa.timestamp("us", "UTC"), _utc(2026, 1, 31, 8)),
        ("'10:00'::time", pa.time64("us"), time(10)),
        ("array[1, null, 2]", pa.list_(pa.int32()), [1, None, 2]),
        ("array[1.5]", pa.list_(pa.float64()), [1.5]),
        ("array['a']", pa.list_(pa.string()), ["a"]),
    ],
)
def test_postgres_says_the_types(postgres: sa.Engine, expression: str, kind: pa.DataType, value: object):
    value_and_null = f"generate_series(1, 2) n LEFT JOIN (SELECT 1 AS m, {expression} AS it) x ON m = n"
    table = _read(postgres, f"SELECT it FROM {value_and_null} ORDER BY n")
    assert table.schema.field("it").type == kind
    assert table.column("it").to_pylist() == [value, None]


def test_an_enumeration_is_text(postgres: sa.Engine):
    with postgres.begin() as connection:
        connection.exec_driver_sql(f"CREATE TYPE mood_{postgres.driver} AS ENUM ('sad', 'glad')")
    assert _read(postgres, f"SELECT 'glad'::mood_{postgres.driver} AS it").column("it").to_pylist() == ["glad"]


def test_the_types_of_no_rows_are_those_of_the_query(postgres: sa.Engine):
    table = _read(postgres, "SELECT 1::int8 AS a, 'x'::text AS b, now() AS c WHERE false")
    assert (table.num_rows, table.schema.types) == (0, [pa.int64(), pa.string(), pa.timestamp("us", "UTC")])


@pytest.mark.parametrize("expression", ["interval '1 day'", "'10:00+02'::timetz", "array[interval '1 day']"])
def test_what_can_not_be_kept_is_refused_by_its_column(postgres: sa.Engine, expression: str):
    message = _fails(DataError, postgres, f"SELECT 1 AS a, {expression} AS spent")
    assert "column 'spent' as an interval or a time with a time zone" in message
    assert "EXTRACT(EPOCH" in message


def test_nan_stays_nan_and_null_stays_null(postgres: sa.Engine):
    table = _read(
        postgres, "SELECT 'NaN'::float8 AS a, 'NaN'::numeric AS b, 'Infinity'::float8 AS c, NULL::float8 AS d"
    )
    assert str(table.to_pylist()[0]) == "{'a': nan, 'b': nan, 'c': inf, 'd': None}"


@pytest.mark.parametrize(
    "expression",
    ["12345678901234567891::numeric(20, 0)", "sum(v) FROM (VALUES (9007199254740993::int8)) t (v)", "1e400::numeric"],
)
def test_a_number_that_a_double_would_change_is_refused_with_what_to_write(postgres: sa.Engine, expression: str):
    message = _fails(DataError, postgres, f"SELECT {expression.replace(' FROM', ' AS n FROM')}")
    assert "(Decimal)" in message
    assert "the column is double." in message
    assert message.endswith("or CAST the column AS text, which keeps each digit, in data.query.")


def test_numbers_that_a_double_holds_are_doubles_however_large_they_are(postgres: sa.Engine):
    numbers = ("12345678901234567168", "9007199254740992", "1e22", "0.1234567890123456789", "'-Infinity'")
    query = " UNION ALL ".join(f"SELECT {number}::numeric AS n" for number in numbers)
    assert _read(postgres, query).column("n").to_pylist() == [float(number.strip("'")) for number in numbers]


def test_a_whole_numeric_that_is_nan_is_named_with_its_row(postgres: sa.Engine):
    message = _fails(DataError, postgres, "SELECT v::numeric(5, 0) AS n FROM (VALUES ('1'), ('NaN')) t (v)")
    assert "gives Decimal('NaN') (Decimal) in column 'n', row 2; the column is int64." in message


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("'infinity'::timestamp", "infinity"),
        ("'-infinity'::timestamptz", "-infinity"),
        ("'infinity'::date", "infinity"),
        ("date '0044-03-15 BC'", "0044-03-15 BC"),
        ("timestamptz '20000-01-01 00:00+00'", "20000-01-01 00:00:00"),
        ("array[timestamp '20000-01-01']", ""),
        ("array['infinity'::date]", ""),
    ],
)
def test_a_moment_beyond_the_calendar_is_refused(postgres: sa.Engine, expression: str, shown: str):
    message = _fails(DataError, postgres, f"SELECT {expression} AS at")
    assert "can't compute the query: " in message
    assert shown in message


def test_a_late_moment_beyond_the_calendar_is_refused_too(postgres: sa.Engine):
    query = (
        "SELECT CASE WHEN i = 70000 THEN 'infinity'::timestamp END AS at FROM generate_series(0, 70000) i ORDER BY i"
    )
    assert "infinity" in _fails(DataError, postgres, query)


def test_the_last_day_of_the_calendar_is_a_day(postgres: sa.Engine):
    table = _read(postgres, "SELECT date '9999-12-31' AS a, array[timestamp '9999-12-31 23:59:59.999999'] AS b")
    last = datetime.fromisoformat("9999-12-31T23:59:59.999999")
    assert table.to_pylist() == [{"a": last.date(), "b": [last]}]


def test_a_connection_reads_times_as_before_once_it_is_given_back(schema: str):
    pytest.importorskip("psycopg2")
    with _engine("psycopg2", schema).connect() as connection:
        raw = connection.connection.driver_connection
        before = dict(raw.string_types)
        with strict_times(raw):
            assert raw.string_types != before
        assert raw.string_types == before


def test_an_array_of_arrays_is_refused(postgres: sa.Engine):
    assert "in column 'a', row 1" in _fails(DataError, postgres, "SELECT array[[1, 2], [3, 4]] AS a")


def test_elsewhere_the_values_say_the_types(sqlite: sa.Engine):
    table = _read(sqlite, "SELECT 1 AS i, 1.5 AS f, 'a' AS t, x'00ff' AS b UNION ALL SELECT NULL, 2, NULL, NULL")
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary()]
    assert table.to_pylist()[1] == {"i": None, "f": 2.0, "t": None, "b": None}


def test_a_column_that_is_null_everywhere_is_text(sqlite: sa.Engine):
    assert _read(sqlite, "SELECT NULL AS a, 1 AS b").schema.field("a").type == pa.string()
    assert _read(sqlite, "SELECT 1 AS b WHERE 0").schema.field("b").type == pa.string()


def _counting(sqlite: sa.Engine, n_rows: int, case: str) -> str:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n_rows})"
    return f"{numbers} SELECT i, {case} AS v FROM n"


def test_a_type_is_waited_for_through_batches_of_nulls(sqlite: sa.Engine):
    table = _read(sqlite, _counting(sqlite, 2 * BATCH_ROWS + 5, f"CASE WHEN i > {2 * BATCH_ROWS} THEN 1.5 END"))
    assert table.schema.field("v").type == pa.float64()
    assert table.column("v").null_count == 2 * BATCH_ROWS
    assert [chunk.null_count for chunk in table.column("v").chunks] == [BATCH_ROWS, BATCH_ROWS, 0]
    assert table.column("i").to_pylist() == list(range(1, 2 * BATCH_ROWS + 6))


@pytest.mark.parametrize(
    ("usual", "odd", "shown"),
    [
        ("i", "'many'", "'many' (str)"),
        ("i", "1.5", "1.5 (float)"),
        ("'a'", "7", "7 (int)"),
        ("'a'", "x'00'", r"b'\x00' (bytes)"),
        ("x'00'", "'a'", "'a' (str)"),
        ("1.5", "'" + "x" * 500 + "'", "'" + "x" * 79 + "… (str)"),
    ],
)
def test_a_later_value_of_another_type_is_named_with_its_row(sqlite: sa.Engine, usual: str, odd: str, shown: str):
    row = BATCH_ROWS + 3
    message = _fails(DataError, sqlite, _counting(sqlite, row + 5, f"CASE WHEN i = {row} THEN {odd} ELSE {usual} END"))
    assert f"gives {shown} in column 'v', row {row}; " in message
    assert "CAST the column in data.query" in message


# The query


def test_the_query_is_taken_as_it_is(anywhere: sa.Engine):
    query = "SELECT ':name' AS a, '100%' AS b, 'a\\:b' AS c, '%s' AS d, '%(x)s' AS e, 7 % 4 AS f -- the end;\n;  "
    expected = [{"a": ":name", "b": "100%", "c": "a\\:b", "d": "%s", "e": "%(x)s", "f": 3}]
    assert _read(anywhere, query).to_pylist() == expected


def test_with_a_window_the_query_is_taken_as_it_is_too(anywhere: sa.Engine):
    moment = "'2026-01-02 00:00:00'" if anywhere.dialect.name == "sqlite" else "'2026-01-02'::timestamp"
    query = f"SELECT {moment} AS at, ':name' AS a, '5%' AS b, 'a\\:b' AS c -- the end"
    found = _read(anywhere, query, "at", Window(start=_utc(2026, 1, 1))).to_pylist()[0]
    assert (found["a"], found["b"], found["c"]) == (":name", "5%", "a\\:b")


def test_a_column_with_an_odd_name_can_be_the_timestamp(postgres: sa.Engine):
    query = """SELECT '2026-01-02'::date AS "At the ""end"", 5% :x" """
    assert _read(postgres, query, 'At the "end", 5% :x', Window(start=_utc(2026, 1, 1))).num_rows == 1
    assert _read(postgres, query, 'At the "end", 5% :x', Window(start=_utc(2026, 1, 3))).num_rows == 0


def test_columns_of_the_same_name_are_refused(anywhere: sa.Engine):
    message = _fails(DataError, anywhere, "SELECT 1 AS a, 2 AS b, 3 AS a, 4 AS b")
    assert "2 column name(s) more than once: 'a', 'b'" in message


def test_the_order_is_the_query_s(anywhere: sa.Engine):
    rows = " UNION ALL ".join(f"SELECT {value} AS v" for value in (2, 9, 4, 1))
    assert _read(anywhere, f"SELECT v FROM ({rows}) r ORDER BY v DESC").column("v").to_pylist() == [9, 4, 2, 1]


def test_what_is_no_query_is_refused_and_changes_nothing(anywhere: sa.Engine):
    table = f"kept_{anywhere.driver}"
    with anywhere.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (a int)")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (1)")
    for query in (f"DELETE FROM {table}", f"SELECT 1 AS a; DELETE FROM {table}", f"DROP TABLE {table}"):
        _fails(SpecError, anywhere, query)
    assert _read(anywhere, f"SELECT * FROM {table}").num_rows == 1
    with anywhere.begin() as connection:  # and the next user of the connection may write
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (2)")


def test_all_rows_are_of_one_moment(postgres: sa.Engine):
    table = f"growing_{postgres.driver}"
    with postgres.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} AS SELECT generate_series(1, {3 * BATCH_ROWS}) AS i")
    with stream_query(postgres, f"SELECT * FROM {table}", timestamp=None, window=OPEN) as rows:
        n_rows = rows.read_next_batch().num_rows
        with postgres.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM {table}")
        n_rows += sum(batch.num_rows for batch in rows)
    assert n_rows == 3 * BATCH_ROWS
    assert _read(postgres, f"SELECT * FROM {table}").num_rows == 0


def test_rows_come_in_batches_and_the_rest_is_left_when_nobody_wants_it(postgres: sa.Engine):
    endless = "SELECT generate_series(1, 1000000000) AS i"
    with stream_query(postgres, endless, timestamp=None, window=OPEN) as rows:
        assert rows.read_next_batch().num_rows == BATCH_ROWS


# The window

MOMENTS = ("2025-12-31 23:59:59.999", "2026-01-01 00:00:00", "2026-01-15 12:00:00", "2026-02-01 00:00:00")
JANUARY = Window(start=_utc(2026, 1, 1), end=_utc(2026, 2, 1))


def _moments(engine: sa.Engine, kind: str) -> str:
    cast = "" if engine.dialect.name == "sqlite" else f"::{kind}"
    rows = [f"SELECT {i} AS i, '{moment}'{cast} AS at" for i, moment in enumerate(MOMENTS)]
    return " UNION ALL ".join([*rows, "SELECT 9, NULL"])


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (JANUARY, [1, 2, 9]),
        (Window(start=_utc(2026, 1, 1)), [1, 2, 3, 9]),
        (Window(end=_utc(2026, 1, 1)), [0, 9]),
        (Window(start=_utc(2027, 1, 1)), [9]),
        (OPEN, [0, 1, 2, 3, 9]),
    ],
)
def test_the_window_is_half_open_and_leaves_nulls_in(schema: str, kind: str, window: Window, expected: list[int]):
    # Whatever time zone the server is set to, a time without one is UTC.
    engine = _engine("psycopg2", schema, TimeZone="Asia/Tokyo")
    assert _read(engine, _moments(engine, kind), "at", window).column("i").to_pylist() == expected


@pytest.mark.parametrize(("window", "expected"), [(JANUARY, [1, 2, 9]), (Window(end=_utc(2026, 1, 1)), [0, 9])])
def test_every_database_cuts_the_same_rows(anywhere: sa.Engine, window: Window, expected: list[int]):
    assert _read(anywhere, _moments(anywhere, "timestamp"), "at", window).column("i").to_pylist() == expected


def test_the_window_keeps_the_query_s_order(anywhere: sa.Engine):
    query = f"SELECT * FROM ({_moments(anywhere, 'timestamp')}) r ORDER BY i DESC"
    assert _read(anywhere, query, "at", JANUARY).column("i").to_pylist() == [9, 2, 1]


@pytest.mark.parametrize(
    ("text", "is_in"),
    [
        ("2026-01-01", True),
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:30:00+01:00", False),
        ("2026-02-01", False),
        ("2026-01-31T23:59:59.999", True),
        ("sometime", True),  # it is the validation that has to see it
    ],
)
def test_text_is_a_moment_in_sqlite(sqlite: sa.Engine, text: str, is_in: bool):
    assert _read(sqlite, f"SELECT '{text}' AS at", "at", JANUARY).num_rows == int(is_in)


@pytest.mark.parametrize("window", [OPEN, JANUARY])
def test_the_timestamp_s_text_is_read_as_moments_in_sqlite_and_no_other_text_is(sqlite: sa.Engine, window: Window):
    texts = ("2026-01-01", "2026-01-02 10:00:00.5", "2026-01-03T00:30:00+01:00", "2026-01-04T00:00:00Z")
    query = " UNION ALL ".join(f"SELECT {at} AS at, '2026-01-01' AS day" for at in ("NULL", *map(repr, texts)))
    found = _read(sqlite, query, "at", window)
    assert found.schema.types == [pa.timestamp("us"), pa.string()]
    assert found.column("at").cast(pa.timestamp("us", "UTC")).to_pylist() == [
        None,
        _utc(2026, 1, 1),
        _utc(2026, 1, 2, 10, 0, 0, 500_000),
        _utc(2026, 1, 2, 23, 30),
        _utc(2026, 1, 4),
    ]
    zoned = _read(sqlite, "SELECT '2026-01-02T00:30:00+01:00' AS at UNION ALL SELECT '2026-01-03'", "at", window)
    assert zoned.schema.types == [pa.timestamp("us", "UTC")]
    assert zoned.column("at").to_pylist() == [_utc(2026, 1, 1, 23, 30), _utc(2026, 1, 3)]


@pytest.mark.parametrize("first", ["20260101", "sometime", "2026-13-01"])
def test_text_that_begins_with_no_moment_stays_text(sqlite: sa.Engine, first: str):
    query = f"SELECT '{first}' AS at UNION ALL SELECT '2026-01-01'"
    assert _read(sqlite, query, "at").column("at").to_pylist() == [first, "2026-01-01"]


def test_text_among_moments_that_is_none_is_named_with_its_row(sqlite: sa.Engine):
    message = _fails(DataError, sqlite, "SELECT '2026-01-01' AS at UNION ALL SELECT 'sometime'", "at")
    assert "gives 'sometime' (str) in column 'at', row 2; the column is timestamp[us]" in message


@pytest.mark.parametrize(
    ("expression", "found"), [("1", "int32"), ("'a'::text", "string"), ("interval '1 day'", "an in")]
)
def test_what_is_no_moment_can_not_be_cut(postgres: sa.Engine, expression: str, found: str):
    message = _fails(DataError, postgres, f"SELECT {expression} AS at", "at", JANUARY)
    assert f"gives the timestamp column 'at' as {found}" in message
    assert "CAST(at AS timestamp)" in message


def test_a_number_is_no_moment_in_sqlite(sqlite: sa.Engine):
    message = _fails(DataError, sqlite, "SELECT 1767225600 AS at", "at", JANUARY)
    assert "gives the timestamp column 'at' as int64" in message


@pytest.mark.parametrize("window", [OPEN, JANUARY])
def test_a_missing_timestamp_column_gets_a_suggestion(anywhere: sa.Engine, window: Window):
    message = _fails(DataError, anywhere, "SELECT 1 AS measured_at, 2 AS b", "measured", window)
    assert "does not give the timestamp column 'measured'" in message
    assert "Columns: 'measured_at', 'b'. Did you mean 'measured_at'?" in message


def test_the_database_cuts_the_window_by_an_index(postgres: sa.Engine):
    table = f"indexed_{postgres.driver}"
    with postgres.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {table} AS SELECT timestamptz '2026-01-01' + i * interval '1 hour' AS at "
            f"FROM generate_series(1, 50000) i"
        )
        connection.exec_driver_sql(f"CREATE INDEX ON {table} (at)")
        connection.exec_driver_sql(f"ANALYZE {table}")
    seen = []
    sa.event.listen(postgres, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    _read(postgres, f"SELECT * FROM {table}", "at", Window(start=_utc(2026, 1, 2), end=_utc(2026, 1, 3)))
    statement, parameters = seen[-1]
    assert "2026" not in statement  # the times are bound, not written
    assert parameters == {"window_start": _utc(2026, 1, 2), "window_end": _utc(2026, 1, 3)}
    with postgres.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
    assert re.search("Index", "\n".join(plan))


# Faults


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT nope", 'column "nope" does not exist'),
        ("SELECT * FROM nope", 'relation "nope" does not exist'),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
    ],
)
def test_a_wrong_query_is_told_with_the_database_s_words(postgres: sa.Engine, query: str, words: str):
    message = _fails(SpecError, postgres, query)
    assert words in message
    assert "\n" not in message


def test_a_wrong_query_is_told_in_sqlite_too(sqlite: sa.Engine):
    message = _fails(SpecError, sqlite, "SELECT * FROM nope")
    assert message.startswith("The sqlite database ")
    assert "refuses: no such table: nope." in message


def test_a_user_who_may_not_read_is_told(postgres: sa.Engine, schema: str):
    role = f"{schema}_{postgres.driver}"
    with postgres.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE secret_{postgres.driver} (a int)")
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    try:
        other = sa.create_engine(postgres.url.set(username=role), poolclass=sa.NullPool)
        message = _fails(SpecError, other, f"SELECT * FROM {schema}.secret_{postgres.driver}")
        assert "permission denied" in message
    finally:
        with postgres.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


@pytest.mark.parametrize("query", ["SELECT 1 / i AS a FROM generate_series(-5, 5) i", "SELECT 'x'::text::int AS a"])
def test_values_that_can_not_be_computed_are_bad_data(postgres: sa.Engine, query: str):
    assert "can't compute the query: " in _fails(DataError, postgres, query)


def test_values_that_can_not_be_computed_late_are_bad_data_too(postgres: sa.Engine):
    query = f"SELECT 1 / ({2 * BATCH_ROWS} - i) AS a FROM generate_series(1, {3 * BATCH_ROWS}) i"
    assert "division by zero" in _fails(DataError, postgres, query)


def test_a_database_that_is_not_there_is_an_outage():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for driver in ("psycopg2", "psycopg"):
        engine = sa.create_engine(f"postgresql+{driver}://ada:s3cret@127.0.0.1:{port}/d?sslpassword=hush")
        message = _fails(UnavailableError, engine, "SELECT 1 AS a")
        assert message.startswith("The postgresql database 'd' at 127.0.0.1 does not answer: ")
        assert "retry" in message
        assert "s3cret" not in message
        assert "hush" not in message


@pytest.mark.parametrize("part", [{"database": "no_such_database"}, {"username": "no_such_role", "password": "s3cret"}])
def test_a_login_that_is_refused_is_no_outage(postgres: sa.Engine, part: dict[str, str]):
    engine = sa.create_engine(postgres.url.set(**part))
    message = _fails(SpecError, engine, "SELECT 1 AS a")
    assert "does not exist" in message
    assert "s3cret" not in message


def test_a_password_that_a_message_repeats_is_hidden(postgres: sa.Engine):
    engine = sa.create_engine(postgres.url.set(password="s3cret"), hide_parameters=True)
    message = _fails(SpecError, engine, "SELECT * FROM s3cret")
    assert 'relation "***" does not exist' in message
    assert "s3cret" not in message


def test_a_query_that_takes_too_long_is_an_outage(schema: str):
    engine = _engine("psycopg2", schema, statement_timeout="100ms")
    message = _fails(UnavailableError, engine, "SELECT pg_sleep(30) IS NULL AS a")
    assert "statement timeout" in message


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_connection_that_is_lost_while_rows_are_read_is_an_outage(schema: str, driver: str):
    engine = _engine(driver, schema, application_name=f"{schema}_{driver}")
    killing = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{schema}_{driver}'"
    with stream_query(engine, "SELECT generate_series(1, 100000000) AS i", timestamp=None, window=OPEN) as rows:
        assert rows.read_next_batch().num_rows == BATCH_ROWS
        with sa.create_engine(POSTGRES).connect() as killer:
            assert killer.exec_driver_sql(killing).scalars().all() == [True]
        with pytest.raises(UnavailableError, match="does not answer"):
            rows.read_all()


def test_a_locked_sqlite_database_is_an_outage(tmp_path: Path):
    with sqlite3.connect(f"{tmp_path}/d.db") as writer:
        writer.execute("CREATE TABLE t (a)")
        writer.commit()
        writer.execute("BEGIN EXCLUSIVE")
        engine = sa.create_engine(f"sqlite:///{tmp_path}/d.db", connect_args={"timeout": 0})
        assert "database is locked" in _fails(UnavailableError, engine, "SELECT * FROM t")


def test_a_file_that_is_no_database_is_bad_data(tmp_path: Path):
    (tmp_path / "d.db").write_bytes(b"this is no database " * 100)
    assert "not a database" in _fails(DataError, sa.create_engine(f"sqlite:///{tmp_path}/d.db"), "SELECT 1 AS a FROM t")


def test_what_the_reader_of_the_rows_raises_is_its_own(sqlite: sa.Engine):
    with (
        pytest.raises(sa.exc.ArgumentError),
        stream_query(sqlite, "SELECT 1 AS a", timestamp=None, window=OPEN),
    ):
        raise sa.exc.ArgumentError("not the database's")


# Athena


def _athena(query: str, timestamp: str | None = "at") -> DatasetSpec:
    return DatasetSpec(
        query=query, conn_id="aws", timestamp=timestamp, athena={"database": "d", "output_location": "s3://b/out"}
    )


def test_the_window_is_written_into_athena_s_query():
    start = datetime.fromisoformat("2026-01-01T01:00:00.000500+01:00")
    found = athena_query(_athena("SELECT * FROM rides -- all;\n ; "), Window(start=start, end=_utc(2026, 2, 1)))
    assert found == (
        "SELECT * FROM (\nSELECT * FROM rides -- all\n) AS dataset "
        "WHERE (\"at\" >= TIMESTAMP '2026-01-01 00:00:00.000500' AND \"at\" < TIMESTAMP '2026-02-01 00:00:00') "
        'OR "at" IS NULL'
    )


def test_a_quote_in_the_timestamp_s_name_is_quoted_for_athena():
    assert 'WHERE ("a""t" < ' in athena_query(_athena("SELECT 1", 'a"t'), Window(end=_utc(2026, 2, 1)))


@pytest.mark.parametrize("timestamp", ["at", None])
def test_without_a_window_athena_s_query_is_the_user_s(timestamp: str | None):
    assert athena_query(_athena("SELECT * FROM rides;", timestamp), OPEN) == "SELECT * FROM rides"
