"""DuckDB: joins to each row what was known at its timestamp, and nothing later."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import connect, name, stored
from airflow_mlops.errors import DataError, bounded, did_you_mean
from airflow_mlops.specs.data import FeatureTable

__all__ = ["FeatureFile", "family", "rows_with_features"]

_BATCH_ROWS = 65_536
_MEMORY_LIMIT = "512MB"  # what the join and the sort need more than that goes to disk
_N_EXAMPLES = 3
_FAMILIES = (
    ("text", ("VARCHAR", "ENUM", "CHAR")),
    ("time", ("DATE", "TIMESTAMP")),
    ("number", ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "U", "FLOAT", "DOUBLE", "DECIMAL")),
)


@dataclass(frozen=True, kw_only=True)
class FeatureFile:
    """A feature table and the Parquet file with its snapshot."""

    table: FeatureTable
    parquet: str


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One side of the join: a view, its column of times, and what it is called in messages."""

    subject: str
    view: str
    timestamp: str
    types: dict[str, str]

    def moment(self, unit: str) -> str:
        """Return the SQL for the time as a number; naive timestamps are in UTC, as everywhere."""
        column, kind = name(self.timestamp), self.types[self.timestamp]
        exact = kind in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "TIMESTAMP")
        return f"epoch_{unit}({column if exact else f'CAST({column} AS TIMESTAMP)'})"


@contextlib.contextmanager
def rows_with_features(parquet: str, timestamp: str, files: Sequence[FeatureFile]) -> Iterator[pa.RecordBatchReader]:
    """Stream a dataset's rows in their order, each with the latest feature values that were known at its timestamp.

    A value is known from its timestamp plus ``available_after`` on, that time included, and is used until its
    age is above ``max_age``. A row without a timestamp, or with a null in the key, gets nulls.

    :param timestamp: the dataset's column of times.
    :raises DataError: when a column is missing or of another kind, a feature row has no timestamp, two of one key
        have the same, or no row of the dataset finds anything.
    """
    with connect("The point-in-time join", memory_limit=_MEMORY_LIMIT) as engine:
        dataset = _side(engine, "The dataset", "dataset_rows", f"FROM {stored(parquet)}", timestamp)
        selected, joins, moments = [f"d.{name(column)}" for column in dataset.types], "", ""
        taken = {column.lower() for column in dataset.types}
        for place, file in enumerate(files):
            table = _side(
                engine,
                f"Feature table {file.table.name!r}",
                f"feature_rows_{place}",
                _table_sql(file),
                str(file.table.source.timestamp),
            )
            columns = _columns_of(file.table, table, dataset, taken)
            # Both sides in the finer unit: in the coarser one, a value would be known up to a microsecond too early.
            unit = "ns" if "TIMESTAMP_NS" in (dataset.types[timestamp], table.types[table.timestamp]) else "us"
            moments += f", {dataset.moment(unit)} AS mlops_moment_{place}"
            # What makes the join ambiguous or empty is refused before it runs.
            _check_rows(engine, file.table, table, dataset, unit)
            joins += _join(place, file.table, table, columns, unit)
            selected += [_selected(place, file.table, column, unit) for column in columns]
        # The join may give rows in any order: they are numbered before it and put back after it.
        rows = f"(SELECT *, row_number() OVER () AS mlops_row{moments} FROM dataset_rows)"
        sql = f"SELECT {', '.join(selected)} FROM {rows} AS d {joins} ORDER BY d.mlops_row"
        yield engine.sql(sql).to_arrow_reader(_BATCH_ROWS)


def _table_sql(file: FeatureFile) -> str:
    rows = f"SELECT * FROM {stored(file.parquet)}"
    query = file.table.source.features
    if query is None:
        return rows
    # The user's query is a query of its own, so that its last line may be a comment.
    return f"WITH dataset AS ({rows}), features AS ({query.strip().rstrip(';')}\n) SELECT * FROM features"


def _side(engine: duckdb.DuckDBPyConnection, subject: str, view: str, sql: str, timestamp: str) -> _Side:
    with _about(subject):
        engine.execute(f"CREATE TEMP VIEW {view} AS {sql}")
        relation = engine.sql(f"FROM {view}")
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    _require(subject, "timestamp", timestamp, types)
    if not types[timestamp].startswith(("DATE", "TIMESTAMP")):
        raise DataError(
            f"{subject}: the timestamp column {timestamp!r} is {types[timestamp]}, a date or a timestamp is required. "
            f"Nothing was joined. Fix the source, or cast the column in its `features`."
        )
    return _Side(subject=subject, view=view, timestamp=timestamp, types=types)


def _columns_of(table: FeatureTable, side: _Side, dataset: _Side, taken: set[str]) -> list[str]:
    """Return the columns to join, whose new names are noted as taken."""
    for key in table.key:
        for each in (dataset, side):
            _require(each.subject, "key", key, each.types)
        kinds = [family(each.types[key]) for each in (dataset, side)]
        if kinds[0] != kinds[1]:
            raise DataError(
                f"{side.subject}: the key {key!r} is {side.types[key]}, in the dataset it is {dataset.types[key]}. "
                f"Nothing was joined. Cast one of them where it comes from."
            )
    columns = [*(table.columns or (column for column in side.types if column not in (*table.key, side.timestamp)))]
    for column in columns:
        _require(side.subject, "feature", column, side.types)
        # The engine's names know no case, and a second column of a name would hide the first.
        new = f"{table.shown_prefix}{column}"
        if new.lower() in taken:
            raise DataError(
                f"{side.subject}: there is a column {new!r} already. Nothing was joined. Set another `prefix`."
            )
        taken.add(new.lower())
    if not columns:
        raise DataError(f"{side.subject} has no column beside {bounded([*table.key, side.timestamp])} to join.")
    return columns


def _check_rows(engine: duckdb.DuckDBPyConnection, table: FeatureTable, side: _Side, dataset: _Side, unit: str) -> None:
    """See that each key has one row at a time, and that the two sides meet at all."""
    shown = ", ".join(f"any_value({name(column)}::VARCHAR)" for column in (*table.key, side.timestamp))
    # Rows without a key or a timestamp join nothing, so only the others may not be tied: of two values with the same
    # time, the join would take either.
    keyed = "".join(f" AND {name(key)} IS NOT NULL" for key in table.key)
    by = ", ".join([*map(name, table.key), "mlops_at"])
    at = f"(SELECT *, {side.moment(unit)} AS mlops_at FROM {side.view})"
    with _about(side.subject):
        n_null = _rows(engine, f"SELECT count(*) FROM {side.view} WHERE {name(side.timestamp)} IS NULL")[0][0]
        ties = _rows(
            engine,
            f"SELECT {shown}, count(*) FROM {at} "
            f"WHERE mlops_at IS NOT NULL{keyed} GROUP BY {by} HAVING count(*) > 1 ORDER BY ALL LIMIT {_N_EXAMPLES}",
        )
    if n_null:
        raise DataError(
            f"{side.subject}: {side.timestamp!r} is null in {n_null} rows; without it nobody knows when a value was "
            f"known. Nothing was joined. Fix the source, or leave those rows out in its `features`."
        )
    if ties:
        examples = [dict(zip((*table.key, side.timestamp, "number of rows"), row, strict=True)) for row in ties]
        raise DataError(
            f"{side.subject}: several rows of one key {table.key} have the same {side.timestamp!r}, one is required: "
            f"{bounded(examples)}. Nothing was joined. Name all of the key's columns, or choose one row for each "
            f"time in the table's `features`."
        )
    _check_meeting(engine, table, side, dataset, unit)


def _check_meeting(
    engine: duckdb.DuckDBPyConnection, table: FeatureTable, side: _Side, dataset: _Side, unit: str
) -> None:
    keys = "".join(f"{name(key)}, " for key in table.key)
    using = "".join(f"d.{name(key)} = f.{name(key)} AND " for key in table.key)
    group = f" GROUP BY {keys.removesuffix(', ')}" if table.key else ""
    delay = _ticks(table.available_after, unit)
    # A row of the dataset finds something if it is not earlier than its key's first value was known. One is enough.
    found = _rows(
        engine,
        f"SELECT 1 FROM (SELECT {keys}{dataset.moment(unit)} AS mlops_moment FROM {dataset.view}) AS d "
        f"JOIN (SELECT {keys}min({side.moment(unit)}) + {delay} AS mlops_first FROM {side.view}{group}) AS f "
        f"ON {using}d.mlops_moment >= f.mlops_first LIMIT 1",
    )
    if not found:
        raise DataError(
            f"{side.subject}: no row of the dataset finds a value that was known at its timestamp. The dataset has "
            f"{_summary(engine, table, dataset)}; the table has {_summary(engine, table, side)}. Nothing was joined. "
            f"Compare the keys' spelling, the time zones and `available_after`, or leave the table out."
        )


def _summary(engine: duckdb.DuckDBPyConnection, table: FeatureTable, side: _Side) -> str:
    """Say which times and keys there are, in a few words."""
    moment = name(side.timestamp)
    low, high = _rows(engine, f"SELECT min({moment})::VARCHAR, max({moment})::VARCHAR FROM {side.view}")[0]
    if not table.key:
        return f"times from {low} to {high}"
    keys = ", ".join(f"{name(key)}::VARCHAR" for key in table.key)
    found = _rows(engine, f"SELECT DISTINCT {keys} FROM {side.view} ORDER BY ALL LIMIT {_N_EXAMPLES}")
    shown = bounded((row[0] or "")[:80] if len(row) == 1 else row for row in found)
    return f"times from {low} to {high} and keys such as {shown}"


def _join(place: int, table: FeatureTable, side: _Side, columns: Sequence[str], unit: str) -> str:
    # Of each key the last row that was known now: known from its timestamp and the delay on, that time
    # included. The age counts from the timestamp alone.
    kept = ", ".join(map(name, dict.fromkeys([*table.key, *columns])))
    moment = side.moment(unit)
    delay = _ticks(table.available_after, unit)
    rows = f"(SELECT {kept}, {moment} AS mlops_at, {moment} + {delay} AS mlops_known FROM {side.view} "
    rows += f"WHERE {moment} IS NOT NULL)"
    # A null in the key equals nothing, and a null time is not >= anything: both rows get nulls.
    using = "".join(f"d.{name(key)} = f{place}.{name(key)} AND " for key in table.key)
    return f"ASOF LEFT JOIN {rows} AS f{place} ON {using}d.mlops_moment_{place} >= f{place}.mlops_known "


def _selected(place: int, table: FeatureTable, column: str, unit: str) -> str:
    # Too old becomes null after the join: an older value must not take the place of the one that expired.
    value = f"f{place}.{name(column)}"
    if table.max_age is not None:
        age = f"d.mlops_moment_{place} - f{place}.mlops_at"
        value = f"CASE WHEN {age} <= {_ticks(table.max_age, unit)} THEN {value} END"
    return f"{value} AS {name(table.shown_prefix + column)}"


def _ticks(length: timedelta, unit: str) -> int:
    return length // timedelta(microseconds=1) * (1000 if unit == "ns" else 1)


def family(kind: str) -> str:
    """Return what kind of type this is, for those that can be compared with each other: text, time or number."""
    return next((each for each, kinds in _FAMILIES if kind.startswith(kinds) and kind != "UUID"), kind)


def _require(subject: str, role: str, column: str, types: dict[str, str]) -> None:
    if column not in types:
        raise DataError(
            f"{subject}: the {role} column {column!r} is not there. Columns: {bounded(types, 20)}."
            f"{did_you_mean(column, types)} Nothing was joined."
        )


def _rows(engine: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = engine.execute(sql).fetchall()
    return rows


@contextlib.contextmanager
def _about(subject: str) -> Iterator[None]:
    """Say of which table an engine's error is."""
    try:
        yield
    except duckdb.Error as error:
        said = str(error).partition("\n\nLINE ")[0]  # what follows is our SQL
        raise DataError(
            f"{subject} can't be read: {said}. Nothing was joined. Fix the source, or its `features`."
        ) from error
