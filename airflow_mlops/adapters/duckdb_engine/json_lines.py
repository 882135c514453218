"""DuckDB: reads JSON lines, whose times are text and are read as carefully as those in CSV files."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, paths
from airflow_mlops.adapters.duckdb_engine.text_types import counts_of, mixed_zones, one_row, reading_of
from airflow_mlops.specs.data import CsvSpec, DatasetSpec

__all__ = ["json_lines_sql"]

_TEXTS = ("VARCHAR", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


def json_lines_sql(connection: duckdb.DuckDBPyConnection, data: DatasetSpec, files: Sequence[str], options: str) -> str:
    """Return a query for the rows. The types of the columns are those of all rows.

    :raises DataError: when the timestamp column mixes moments with and without a time zone.
    """
    reader = f"read_ndjson({paths(files)}, union_by_name = true, {options}"
    found = connection.sql(f"SELECT * FROM {reader}, sample_size = -1)")
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    partitions = options.partition("hive_types = ")[2]
    times = [column for column, kind in kinds.items() if kind in _TEXTS and f"{name(column)}: " not in partitions]
    if not times:
        return f"SELECT * FROM {reader}, sample_size = -1)"
    types = ", ".join(
        f"{literal(column)}: {literal('VARCHAR' if column in times else kind)}"
        for column, kind in kinds.items()
        if f"{name(column)}: " not in partitions
    )
    rows = f"{reader}, columns = {{{types}}})"
    settings = CsvSpec()
    examples = one_row(connection, f"SELECT * FROM {rows}", [f"any_value({name(column)})" for column in times])
    counts = [counts_of(name(column), example, settings) for column, example in zip(times, examples, strict=True)]
    counted = one_row(connection, f"SELECT * FROM {rows}", counts)
    readings = []
    for column, each in zip(times, counted, strict=True):
        reading, is_mixed = reading_of(column, each, settings)
        if is_mixed and column == data.timestamp:
            raise mixed_zones(data.subject, column, each)
        readings.append(reading)
    moments = [reading for reading in readings if reading.is_time]
    made = ", ".join(f"{reading.sql(name(reading.column))} AS {name(reading.column)}" for reading in moments)
    return f"SELECT *{f' REPLACE ({made})' if made else ''} FROM {rows}"
