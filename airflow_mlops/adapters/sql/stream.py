"""A query's rows, batch by batch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from airflow_mlops.adapters.sql.columns import (
    STRING,
    ColumnKind,
    MisfitError,
    postgres_kind,
    text_moment_kind,
    to_array,
    value_kind,
)
from airflow_mlops.adapters.sql.faults import subject_of, translated
from airflow_mlops.adapters.sql.window import columns_of, verbatim, within
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, bounded, did_you_mean

__all__ = ["BATCH_ROWS", "stream_query"]

log = logging.getLogger(__name__)

BATCH_ROWS = 65_536

_MAX_WAIT = 8
"""Batches that are looked at for the first value of a column, where the database does not say its type."""

_POSTGRES_SESSION = (
    "SET LOCAL TIME ZONE 'UTC'",  # not the server's, or its setting would change the rows
    "SET LOCAL cursor_tuple_fraction = 1",  # all rows are fetched: plan for the last one, not the first
    "SET LOCAL synchronize_seqscans = off",  # a scan begins at the beginning, so that the order stays
)


@contextlib.contextmanager
def stream_query(
    engine: sa.Engine, query: str, *, timestamp: str | None, window: Window
) -> Iterator[pa.RecordBatchReader]:
    """Run a query and stream its rows, in batches of :data:`BATCH_ROWS`, through a server-side cursor.

    The rows come in the order that the query gives; without an ``ORDER BY`` a database may give the same rows
    in another order the next time, and they then have another digest. All is read in one read-only
    transaction where the database has such (PostgreSQL: REPEATABLE READ, its time zone UTC; SQLite). The
    engine stays open.

    Types: PostgreSQL says them (see :func:`~airflow_mlops.adapters.sql.columns.postgres_kind`); elsewhere a
    column is of the type of the values in the first batch that has any, and text when the first eight have
    none. SQLite has no timestamps: there the text in ``timestamp`` is read as times, if it begins with one; those
    without a time zone are in UTC. Exact decimals become float64. NaN stays NaN and null stays null. Dates and times
    outside of the years 1 to 9999, which ``infinity`` is too, are refused.

    :param timestamp: the column that the window cuts; rows where it is null stay in.
    :raises DataError: when the timestamp column is missing or can't be compared, a column comes twice, or a
        value does not fit its column, also while the rows are read.
    :raises SpecError: when the database refuses the query.
    :raises UnavailableError: when the database does not answer, also while the rows are read.
    """
    with translated(engine):
        connection = engine.connect()
    try:
        with _reading_times(connection):
            with translated(engine):
                _prepare(connection)
                result = _execute(connection, query, timestamp, window)
                reader = _Reader(engine, result, timestamp)
            _require_timestamp(reader.schema, timestamp, window, subject_of(engine))
            yield pa.RecordBatchReader.from_batches(reader.schema, reader.batches())
    finally:
        _close(connection)


def _reading_times(connection: sa.Connection) -> contextlib.AbstractContextManager[None]:
    if connection.dialect.driver != "psycopg2":
        return contextlib.nullcontext()
    from airflow_mlops.adapters.sql.psycopg2_times import strict_times

    return strict_times(connection.connection.driver_connection)


def _prepare(connection: sa.Connection) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        for setting in _POSTGRES_SESSION:
            connection.exec_driver_sql(setting)
    elif dialect == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _close(connection: sa.Connection) -> None:
    """Give the connection back as it was; what fails here fails after the rows, or after the error that matters."""
    try:
        if connection.dialect.name == "sqlite" and not connection.invalidated:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.close()
    except (sa.exc.SQLAlchemyError, OSError) as error:
        log.warning("connection not closed cleanly: dialect=%s error=%s", connection.dialect.name, type(error).__name__)


def _execute(
    connection: sa.Connection, query: str, timestamp: str | None, window: Window
) -> sa.CursorResult[tuple[Any, ...]]:
    statement: Any = verbatim(query)
    dialect = connection.dialect.name
    if timestamp is not None and not window.is_open:
        # Asked beforehand, because databases say "no such column" in words of their own.
        subject = f"{subject_of(connection.engine)}: the query"
        found = connection.execute(columns_of(query)).cursor
        described = list(found.description) if found is not None else []
        _require_column([column[0] for column in described], timestamp, subject)
        if dialect == "postgresql":
            kind = next(postgres_kind(*_type_of(column)) for column in described if column[0] == timestamp)
            _require_comparable(kind.type if kind else None, timestamp, subject)
        statement = within(query, timestamp, window, dialect)
    streaming = connection.execution_options(stream_results=True, yield_per=BATCH_ROWS)
    return streaming.execute(statement)


class _Reader:
    """Turns a result into batches of one schema.

    The first batches are read at once, until each column has a type.
    """

    def __init__(self, engine: sa.Engine, result: sa.CursorResult[tuple[Any, ...]], timestamp: str | None) -> None:
        self._engine = engine
        self._result = result
        self._n_rows = 0
        self._subject = f"{subject_of(engine)}: the query"
        described = list(result.cursor.description or ()) if result.cursor is not None else []
        if not described:
            raise DataError(f"{self._subject} gives no rows and no columns: it is no SELECT. Fix data.query.")
        self._names = [str(column[0]) for column in described]
        _require_unique(self._names, self._subject)
        self._first: list[list[Sequence[Any]]] = []
        if engine.dialect.name == "postgresql":
            self._kinds = [self._postgres_kind(column) for column in described]
        else:
            self._kinds = [kind or STRING for kind in self._kinds_by_values()]
        if engine.dialect.name == "sqlite" and timestamp in self._names:
            self._read_moments(self._names.index(timestamp))
        self.schema = pa.schema(
            [pa.field(name, kind.type) for name, kind in zip(self._names, self._kinds, strict=True)]
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give what was read already, then the rest."""
        while self._first:
            yield self._to_batch(self._first.pop(0))
        while columns := self._fetch():
            yield self._to_batch(columns)

    def _postgres_kind(self, column: Sequence[Any]) -> ColumnKind:
        kind = postgres_kind(*_type_of(column))
        if kind is None:
            raise DataError(
                f"{self._subject} gives column {column[0]!r} as an interval or a time with a time zone, which can't "
                f"be kept. Nothing was kept. Leave it out, or make it a number: EXTRACT(EPOCH FROM …)."
            )
        return kind

    def _kinds_by_values(self) -> list[ColumnKind | None]:
        kinds: list[ColumnKind | None] = [None] * len(self._names)
        while None in kinds and len(self._first) < _MAX_WAIT and (columns := self._fetch()):
            offset = sum(len(batch[0]) for batch in self._first)
            for at, values in enumerate(columns):
                try:
                    kinds[at] = kinds[at] or value_kind(values)
                except MisfitError as error:
                    raise self._misfit(at, offset + error.index, error.value, None) from error
            self._first.append(columns)
        return kinds

    def _read_moments(self, at: int) -> None:
        """Have a column of text read as times, if it begins with one."""
        first = next((value for batch in self._first for value in batch[at] if value is not None), None)
        if self._kinds[at] is STRING and first is not None:
            self._kinds[at] = text_moment_kind(first) or STRING

    def _fetch(self) -> list[Sequence[Any]]:
        """Return the next rows, column by column; nothing at the end."""
        with translated(self._engine):
            rows = self._result.fetchmany(BATCH_ROWS)
        return list(zip(*rows, strict=True))

    def _to_batch(self, columns: list[Sequence[Any]]) -> pa.RecordBatch:
        arrays = []
        for at, values in enumerate(columns):
            try:
                arrays.append(to_array(values, self._kinds[at]))
            except MisfitError as error:
                raise self._misfit(at, self._n_rows + error.index, error.value, self._kinds[at].type) from error
        self._n_rows += len(columns[0])
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _misfit(self, at: int, row: int, value: object, required: pa.DataType | None) -> DataError:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
        expected = f"the column is {required}" if required else "a column is of numbers, text, bytes, times or days"
        is_exact = required == pa.float64() and isinstance(value, int | Decimal)
        cast = " AS text, which keeps each digit," if is_exact else ""
        return DataError(
            f"{self._subject} gives {shown} ({type(value).__name__}) in column {self._names[at]!r}, row {row + 1}; "
            f"{expected}. Nothing was kept and the champion stays. Fix that row, or CAST the column"
            f"{cast} in data.query."
        )


def _type_of(column: Sequence[Any]) -> tuple[int, int | None, int | None]:
    return column[1], column[4], column[5]


def _require_unique(names: Sequence[str], subject: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{subject} gives {len(twice)} column name(s) more than once: {bounded(twice)}. Nothing was kept. Name "
            f"each column apart with AS."
        )


def _require_column(names: Sequence[str], timestamp: str, subject: str) -> None:
    if timestamp not in names:
        raise DataError(
            f"{subject} does not give the timestamp column {timestamp!r}. Nothing was kept. Columns: "
            f"{bounded(names, 20)}.{did_you_mean(timestamp, names)}"
        )


def _require_timestamp(schema: pa.Schema, timestamp: str | None, window: Window, subject: str) -> None:
    if timestamp is None:
        return
    _require_column(schema.names, timestamp, f"{subject}: the query")
    found = schema.field(timestamp).type
    if not window.is_open and not pa.types.is_string(found):  # SQLite and others keep times as text
        _require_comparable(found, timestamp, f"{subject}: the query")


def _require_comparable(found: pa.DataType | None, timestamp: str, subject: str) -> None:
    if found is None or not (pa.types.is_timestamp(found) or pa.types.is_date(found)):
        raise DataError(
            f"{subject} gives the timestamp column {timestamp!r} as {found or 'an interval'}; a timestamp or a date "
            f"was expected, to cut the window. Nothing was kept. Write CAST({timestamp} AS timestamp) in data.query, "
            f"or what makes it one."
        )
