"""DuckDB: a connection, its streams, and names and literals in its SQL."""

from __future__ import annotations

import contextlib
import glob
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.errors import DataError, UnavailableError, bounded, did_you_mean

__all__ = ["connect", "literal", "name", "one_row", "paths", "stored", "stream"]

_BATCH_ROWS = 65_536
_MEMORY_LIMIT = "2GB"


@contextlib.contextmanager
def connect(subject: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine of its own, with bounded memory and a folder for what does not fit, and say what fails.

    :raises DataError: when what it reads can't be read.
    :raises UnavailableError: when memory or disk do not suffice.
    """
    with (
        tempfile.TemporaryDirectory(prefix="mlops-duckdb-") as overflow,
        duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": overflow}) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")  # not the machine's, or workers would read other moments
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise UnavailableError(
                f"{subject} can't be read with {_MEMORY_LIMIT} of memory and the disk that is left: "
                f"{_first_lines(error)}. That says nothing about the data. Make room below "
                f"{tempfile.gettempdir()}, then retry."
            ) from error
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


def stored(parquet: str | Sequence[str]) -> str:
    """Return the table that one or more Parquet files of ours are, in SQL.

    The extremes in Parquet's statistics leave NaN out. DuckDB must be told that there may be some, or it takes
    ``isnan(x)`` for false where they are finite.
    """
    files = [parquet] if isinstance(parquet, str) else parquet
    return f"read_parquet({paths(files)}, can_have_nan = true)"


def one_row(parquet: str, expressions: str) -> tuple[Any, ...]:
    with connect(f"The snapshot {parquet}") as connection:
        rows = connection.execute(f"SELECT {expressions} FROM {stored(parquet)}").fetchall()
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


def paths(files: Sequence[str]) -> str:
    """Return a list of files as a literal, in which a name that looks like a pattern is a name all the same."""
    return literal([file if "://" in file else glob.escape(file) for file in files])


def _first_lines(error: Exception, limit: int = 6) -> str:
    return "\n".join(str(error).splitlines()[:limit])
