"""DuckDB: a connection, its streams, and names and literals in its SQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.errors import DataError, bounded, did_you_mean

__all__ = ["connect", "literal", "name", "one_row", "stream"]

_BATCH_ROWS = 65_536


@contextlib.contextmanager
def connect(subject: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine of its own, and say what failed when it does."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")  # not the machine's, or workers would read other moments
        try:
            yield connection
        except (duckdb.Error, pa.ArrowException) as error:
            raise DataError(f"{subject} can't be read: {_first_lines(error)}") from error


@contextlib.contextmanager
def stream(sql: str, then: str = "", *, subject: str, timestamp: str | None = None) -> Iterator[pa.RecordBatchReader]:
    with connect(subject) as connection:
        try:
            relation = connection.sql(sql + then)
        except duckdb.BinderException:
            _require_column(connection.sql(sql).columns, timestamp, subject)
            raise
        _require_column(relation.columns, timestamp, subject)
        yield relation.to_arrow_reader(_BATCH_ROWS)


def one_row(parquet: str, expressions: str) -> tuple[Any, ...]:
    with connect(f"The snapshot {parquet}") as connection:
        rows = connection.execute(f"SELECT {expressions} FROM read_parquet({literal(parquet)})").fetchall()
    row: tuple[Any, ...] = rows[0]  # an aggregate without GROUP BY gives exactly one
    return row


def _require_column(columns: Sequence[str], timestamp: str | None, subject: str) -> None:
    if timestamp and timestamp not in columns:
        raise DataError(
            f"{subject}: the timestamp column {timestamp!r} is not in the data. Columns: "
            f"{bounded(columns, 20)}.{did_you_mean(timestamp, columns)}"
        )


def name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def literal(value: str | datetime | Sequence[str]) -> str:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return f"TIMESTAMP '{utc.replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(literal(item) for item in value) + "]"


def _first_lines(error: Exception, limit: int = 6) -> str:
    return "\n".join(str(error).splitlines()[:limit])
