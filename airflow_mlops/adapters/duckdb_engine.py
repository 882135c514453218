"""DuckDB: reads source files, answers questions about a snapshot, makes the feature rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.errors import DataError, bounded, did_you_mean
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["examples_that_are_not", "feature_rows", "quantiles", "scan_source", "time_cut", "time_range"]

_READERS = {
    "csv": "read_csv({files}, union_by_name = true, sample_size = -1)",
    "parquet": "read_parquet({files}, union_by_name = true)",
    "jsonl": "read_ndjson({files}, union_by_name = true, sample_size = -1)",
}
_FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_BATCH_ROWS = 65_536


def scan_source(data: DatasetSpec, files: Sequence[Path]) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
    """Stream the rows of the files that lie in the spec's window, in the order of the files.

    Columns are matched by name and a column that a file lacks is null in its rows. Rows whose timestamp is
    null or no timestamp stay in, whatever the window: it is the validation that has to see them.

    :raises DataError: when the files can't be read, or lack the timestamp column that the window needs.
    """
    reader = _READERS[_format_of(data, files)].format(files=_literal([str(file) for file in files]))
    where = []
    if data.timestamp:
        moment = f"TRY_CAST({_name(data.timestamp)} AS TIMESTAMP)"
        where += [f"{moment} >= {_literal(data.window_start)}"] if data.window_start else []
        where += [f"{moment} < {_literal(data.window_end)}"] if data.window_end else []
        where = [f"(({' AND '.join(where)}) OR {moment} IS NULL)"] if where else []
    then = f" WHERE {where[0]}" if where else ""
    return _stream(f"SELECT * FROM {reader}", then, subject=f"The files at {data.path!r}", timestamp=data.timestamp)


def feature_rows(parquet: str, data: DatasetSpec) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
    """Stream the rows to train on: the snapshot's own, or those of ``data.features`` over table ``dataset``.

    SQL promises no order, so the rows of a query come out sorted, by the timestamp first.

    :raises DataError: when the query fails.
    """
    dataset = f"(SELECT * FROM read_parquet({_literal(parquet)}))"
    if data.features is None:
        return _stream(f"FROM {dataset}", subject="The snapshot")
    query = data.features.strip().rstrip(";")
    sql = f"WITH dataset AS {dataset}, features AS ({query}\n) SELECT * FROM features"
    first = f"{_name(data.timestamp)}, " if data.timestamp else ""
    return _stream(sql, f" ORDER BY {first}COLUMNS(*)", subject="data.features", timestamp=data.timestamp)


def time_cut(parquet: str, data: DatasetSpec, test_fraction: float) -> datetime | date:
    """Return the timestamp from which on the last ``test_fraction`` of the feature rows lies.

    :raises DataError: when there is no row with a timestamp.
    """
    with feature_rows(parquet, data) as rows, _connection("The time split") as connection:
        connection.register("features", rows)
        column = _name(data.timestamp or "")
        sql = f"SELECT quantile_disc({column}, {1 - test_fraction}) FROM features"
        cut = connection.execute(sql).fetchone()
    moment = cut[0] if cut else None
    if not isinstance(moment, date):  # a datetime is one too
        raise DataError(
            f"The time split needs dates or timestamps in {data.timestamp!r}, and at least one row that has one; "
            f"found {moment!r}. Nothing was split."
        )
    return moment


def time_range(parquet: str, column: str) -> tuple[datetime | None, datetime | None]:
    """Return the smallest and the largest timestamp; ``None`` where no value is a timestamp."""
    moment = f"TRY_CAST({_name(column)} AS TIMESTAMP)"
    low, high = _one_row(parquet, f"min({moment}), max({moment})")
    return low, high


def quantiles(parquet: str, column: str, n_bins: int) -> list[float]:
    """Return ``n_bins + 1`` quantiles, from the smallest to the largest, of a column's finite values.

    :returns: ascending; empty when no value is finite.
    """
    value = f"{_name(column)}::DOUBLE"
    shares = [index / n_bins for index in range(n_bins + 1)]
    found = _one_row(parquet, f"quantile_disc({value}, {shares}) FILTER (isfinite({value}))")[0]
    return [float(value) for value in found or [] if math.isfinite(value)]


def examples_that_are_not(parquet: str, column: str, arrow_type: str, limit: int = 3) -> tuple[str, ...]:
    """Return some of a text column's values that can't be read as the type that was expected."""
    wanted = "TIMESTAMP" if arrow_type.startswith(("timestamp", "date")) else "DOUBLE"
    name = _name(column)
    with _connection(f"Column {column!r}") as connection:
        rows = connection.execute(
            f"SELECT DISTINCT {name}::VARCHAR FROM read_parquet({_literal(parquet)}) "
            f"WHERE {name} IS NOT NULL AND TRY_CAST({name} AS {wanted}) IS NULL ORDER BY 1 LIMIT {limit}"
        ).fetchall()
    return tuple(str(row[0])[:80] for row in rows)


def _one_row(parquet: str, expressions: str) -> tuple[Any, ...]:
    with _connection(f"The snapshot {parquet}") as connection:
        rows = connection.execute(f"SELECT {expressions} FROM read_parquet({_literal(parquet)})").fetchall()
    row: tuple[Any, ...] = rows[0]  # an aggregate without GROUP BY gives exactly one
    return row


@contextlib.contextmanager
def _stream(sql: str, then: str = "", *, subject: str, timestamp: str | None = None) -> Iterator[pa.RecordBatchReader]:
    with _connection(subject) as connection:
        try:
            relation = connection.sql(sql + then)
        except duckdb.BinderException:
            _require_column(connection.sql(sql).columns, timestamp, subject)
            raise
        _require_column(relation.columns, timestamp, subject)
        yield relation.to_arrow_reader(_BATCH_ROWS)


def _require_column(columns: Sequence[str], timestamp: str | None, subject: str) -> None:
    if timestamp and timestamp not in columns:
        raise DataError(
            f"{subject}: the timestamp column {timestamp!r} is not in the data. Columns: "
            f"{bounded(columns, 20)}.{did_you_mean(timestamp, columns)}"
        )


@contextlib.contextmanager
def _connection(subject: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine of its own, and say what failed when it does."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")  # not the machine's, or workers would read other moments
        try:
            yield connection
        except (duckdb.Error, pa.ArrowException) as error:
            raise DataError(f"{subject} can't be read: {_first_lines(error)}") from error


def _first_lines(error: Exception, limit: int = 6) -> str:
    return "\n".join(str(error).splitlines()[:limit])


def _format_of(data: DatasetSpec, files: Sequence[Path]) -> str:
    if data.format:
        return data.format
    found = sorted({_FORMATS.get(file.suffix.lower(), file.suffix) for file in files})
    if len(found) != 1 or found[0] not in _READERS:
        raise DataError(
            f"The files at {data.path!r} are of kind {bounded(found)}; one of csv, parquet and jsonl was expected. "
            f"Narrow data.path to one kind, or set data.format."
        )
    return found[0]


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(value: str | datetime | Sequence[str]) -> str:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return f"TIMESTAMP '{utc.replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(_literal(item) for item in value) + "]"
