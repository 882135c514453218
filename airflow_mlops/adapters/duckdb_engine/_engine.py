"""DuckDB: a connection, its streams, and names and literals in its SQL."""

from __future__ import annotations

import contextlib
import glob
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.core.data.snapshot import RowFilter
from airflow_mlops.errors import DataError, IntegrityError, MlopsError, UnavailableError

__all__ = [
    "BATCH_ROWS",
    "condition",
    "connect",
    "literal",
    "name",
    "one_row",
    "open_engine",
    "paths",
    "stored",
    "stored_without_nan",
    "stream",
]

BATCH_ROWS = 65_536
_MEMORY_LIMIT = "2GB"

_LOST = (
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.ConnectionException,
    duckdb.FatalException,
    duckdb.InternalException,
)
# How the messages begin where Arrow passes them on, whatever the class.
_LOST_SAID = ("IO Error", "Out of Memory Error", "Connection Error", "FATAL Error", "INTERNAL Error")
# A Parquet file of ours that was damaged; some of these have no class of their own.
_DAMAGE = re.compile(
    r"No magic bytes|Footer length|likely corrupt|TProtocolException|don't know what type|Variable-length int|"
    r"Could not read enough bytes|Failed to read (Parquet )?file|[Dd]ecompress|Invalid thrift"
)


def open_engine(overflow: str, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Return an engine of its own with bounded memory, whose time zone is UTC on every machine.

    :param overflow: a folder for what does not fit into memory.
    :param memory_limit: how much does fit, such as ``"512MB"``.
    """
    connection = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": overflow})
    connection.execute("SET TimeZone = 'UTC'")  # not the machine's, or workers would read other times
    connection.execute("SET enable_progress_bar = false")  # it would be drawn into the logs of tasks
    return connection


@contextlib.contextmanager
def connect(subject: str, *, memory_limit: str | None = None, advice: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine of its own, with bounded memory and a folder for what does not fit, and say what fails.

    :param memory_limit: how much memory it takes before it goes to disk; ``None``: 2 GB.
    :param advice: what state things are left in, and what to do, where the data is bad.
    :raises DataError: when what it reads can't be computed.
    :raises IntegrityError: when a file of ours is damaged.
    :raises UnavailableError: when a file or the engine is lost, or memory or disk do not suffice.
    """
    limit = memory_limit or _MEMORY_LIMIT
    with contextlib.ExitStack() as stack:
        try:
            overflow = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlops-duckdb-"))
            connection = stack.enter_context(open_engine(overflow, limit))
        except (OSError, duckdb.Error) as error:
            raise _lost(subject, error, limit) from error
        try:
            yield connection
        except (duckdb.Error, pa.ArrowException) as error:
            raise _meaning(subject, error, limit, advice) from error
        except OSError as error:
            if error.errno is None and re.match(r"[A-Za-z ]+ Error: ", str(error)):
                raise _meaning(subject, error, limit, advice) from error  # the engine's, passed on by Arrow
            raise  # of whoever uses the connection


@contextlib.contextmanager
def stream(sql: str, *, subject: str) -> Iterator[pa.RecordBatchReader]:
    with connect(subject) as connection:
        yield connection.sql(sql).to_arrow_reader(BATCH_ROWS)


def stored(parquet: str | Sequence[str]) -> str:
    """Return the table that one or more Parquet files of ours are, in SQL.

    The extremes in Parquet's statistics leave NaN out. DuckDB must be told that there may be some, or it takes
    ``isnan(x)`` for false where they are finite.
    """
    return _table(parquet, ", can_have_nan = true")


def stored_without_nan(parquet: str | Sequence[str]) -> str:
    """Return the same table for questions that no NaN is an answer to: blocks are left out by their extremes."""
    return _table(parquet, "")


def _table(parquet: str | Sequence[str], options: str) -> str:
    """Return the files as a table. A folder that is called ``date=2026-01-31`` is no column of it."""
    files = [parquet] if isinstance(parquet, str) else parquet
    return f"read_parquet({paths(files)}, union_by_name = true, hive_partitioning = false{options})"


def one_row(parquet: str, expressions: str) -> tuple[Any, ...]:
    with connect(f"The snapshot {parquet}") as connection:
        rows = connection.execute(f"SELECT {expressions} FROM {stored(parquet)}").fetchall()
    row: tuple[Any, ...] = rows[0]  # an aggregate without GROUP BY gives exactly one
    return row


def name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def literal(value: str | datetime | Sequence[str]) -> str:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return f"TIMESTAMP '{utc.replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(literal(item) for item in value) + "]"


def condition(rows: RowFilter | None) -> str:
    """Return the condition that rows which count meet, in SQL; empty where all of them do."""
    if rows is None:
        return ""
    moment = f"TRY_CAST({name(rows.timestamp)} AS TIMESTAMP)"
    parts = [f"{moment} {sign} {literal(bound)}" for sign, bound in ((">", rows.after), ("<=", rows.until)) if bound]
    for column, values in rows.among.items():
        listed = ", ".join(literal(value) if isinstance(value, str) else str(value) for value in values)
        parts.append(f"{name(column)} IN ({listed})")
    return " AND ".join(parts)


def paths(files: Sequence[str]) -> str:
    """Return a list of files as a literal, in which a name that looks like a pattern is a name all the same."""
    return literal([file if "://" in file else glob.escape(file) for file in files])


def _meaning(subject: str, error: Exception, limit: str, advice: str) -> MlopsError:
    """Return what an error of the engine says: a file of ours is damaged, something is lost, or the data is bad."""
    message = str(error)
    if _DAMAGE.search(message):
        return IntegrityError(
            f"{subject} can't be read, a file is damaged: {_first_lines(error)}. Nothing was decided. Run the pipeline "
            f"again to make it anew."
        )
    if isinstance(error, (*_LOST, MemoryError)) or message.startswith(_LOST_SAID):
        return _lost(subject, error, limit)
    return DataError(f"{subject} can't be read: {_first_lines(error)}" + (f"\n{advice}" if advice else ""))


def _lost(subject: str, error: Exception, limit: str) -> UnavailableError:
    return UnavailableError(
        f"{subject} can't be read now: {_first_lines(error)}. That says nothing about the data, and nothing was "
        f"decided. See that the storage can be reached and that {tempfile.gettempdir()} has room ({limit} of "
        f"memory are used before it), then try again."
    )


def _first_lines(error: Exception, limit: int = 6) -> str:
    return "\n".join(str(error).splitlines()[:limit])
