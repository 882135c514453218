"""DuckDB: reads JSON lines, whose times and numbers are read as carefully as those in CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, paths
from airflow_mlops.adapters.duckdb_engine.sources.partitions import require_apart, require_one_case
from airflow_mlops.adapters.duckdb_engine.sources.text_types import Reading, counts_of, mixed_zones, one_row, reading_of
from airflow_mlops.specs.data import CsvSpec, DatasetSpec

__all__ = ["json_lines_sql"]

_TEXTS = ("VARCHAR", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_ANY = re.compile(r"(?<![\w\"])JSON(?=[\[),]|$)")  # the engine's type of mixed values, also within another type


def json_lines_sql(
    connection: duckdb.DuckDBPyConnection,
    data: DatasetSpec,
    files: Sequence[str],
    options: str,
    partitions: Iterable[str],
) -> str:
    """Return a query for the rows. The types of the columns are those of all rows.

    A column is text where a double would change a number of it: digits of a key, or one that is too large. It is text
    too where it has values of several types, as in CSV. Objects are structs, however many keys they have.

    :param options: the engine's, for the partitions.
    :raises DataError: when the timestamp column mixes times with and without a time zone, or names differ in upper
        and lower case only.
    """
    found = connection.sql(
        f"SELECT * FROM read_ndjson({paths(files)}, union_by_name = true, hive_partitioning = false, sample_size = -1, "
        f"records = true, map_inference_threshold = -1)"
    )
    kinds = {column: _ANY.sub("VARCHAR", str(kind)) for column, kind in zip(found.columns, found.types, strict=True)}
    _require_distinct(connection, data, files, list(kinds))
    require_apart(kinds, partitions, data.subject)
    looked_at = [column for column, kind in kinds.items() if kind in (*_TEXTS, "DOUBLE")]
    rows = _rows(files, kinds | dict.fromkeys(looked_at, "VARCHAR"), options)
    readings = _readings(connection, data, rows, looked_at)
    made = ", ".join(
        f"{reading.sql(name(column))} AS {name(column)}" for column, reading in readings.items() if reading.is_time
    )
    for column, reading in readings.items():
        is_number = kinds[column] == "DOUBLE" and reading.converted is not None
        kinds[column] = "DOUBLE" if is_number else "VARCHAR"
    return f"SELECT *{f' REPLACE ({made})' if made else ''} FROM {_rows(files, kinds, options)}"


def _rows(files: Sequence[str], kinds: dict[str, str], options: str) -> str:
    types = ", ".join(f"{literal(column)}: {literal(kind)}" for column, kind in kinds.items())
    return f"read_ndjson({paths(files)}, {options}, records = true, columns = {{{types}}})"


def _readings(
    connection: duckdb.DuckDBPyConnection, data: DatasetSpec, rows: str, columns: Sequence[str]
) -> dict[str, Reading]:
    if not columns:
        return {}
    settings = CsvSpec()
    all_rows = f"SELECT * FROM {rows}"
    examples = one_row(connection, all_rows, [f"any_value({name(column)})" for column in columns])
    counts = [counts_of(name(column), example, settings) for column, example in zip(columns, examples, strict=True)]
    readings = {}
    for column, counted in zip(columns, one_row(connection, all_rows, counts), strict=True):
        readings[column], is_mixed = reading_of(column, counted, settings)
        if is_mixed and column == data.timestamp:
            raise mixed_zones(data.subject, column, counted)
    return readings


def _require_distinct(
    connection: duckdb.DuckDBPyConnection, data: DatasetSpec, files: Sequence[str], columns: Sequence[str]
) -> None:
    """Refuse keys that differ in case only. The engine numbers those: of ``id`` and ``ID`` it makes ``ID_1``."""
    known = {column.casefold() for column in columns}
    stems = (re.sub(r"_\d+$", "", column) for column in columns)
    if any(stem not in columns and stem.casefold() in known for stem in stems):
        keys = connection.execute(
            f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM read_ndjson_objects({paths(files)}) ORDER BY key"
        ).fetchall()
        require_one_case([key for (key,) in keys], data.subject)
