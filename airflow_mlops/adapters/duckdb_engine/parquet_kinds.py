"""DuckDB: whether Parquet files that are read as one agree on what their columns are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import paths
from airflow_mlops.errors import DataError

__all__ = ["require_same_kinds"]

# A column without any value may be written as of no kind.
_IS_COLUMN = """num_children IS NULL AND duckdb_type NOT IN ('NULL', '"NULL"')"""
_NUMBERS = r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL.*"


def require_same_kinds(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Refuse files that have a column as different kinds, which the engine would turn into a third one.

    Numbers of any width are one kind; moments with a time zone and without one are two.

    :raises DataError: naming the column, and a file for each of two kinds.
    """
    if len(files) == 1:
        return
    nested = f"SELECT count(*) FROM parquet_schema({paths(files)}) WHERE num_children IS NOT NULL"
    if connection.execute(nested).fetchall()[0][0] > len(files):
        return  # the parts of nested columns are listed under names of their own, which say nothing
    columns = connection.execute(
        f"SELECT name, duckdb_type, min(file_name) FROM parquet_schema({paths(files)}) "
        f"WHERE {_IS_COLUMN} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    seen: dict[str, tuple[str, str]] = {}
    for column, kind, file in columns:
        known, first = seen.setdefault(column, (kind, file))
        if _family(known) != _family(kind):
            raise DataError(
                f"Column {column!r} is {known} in {first} and {kind} in {file}. Nothing was read, because one of them "
                f"would be misread. Deliver them alike, or narrow data.path."
            )


def _family(kind: str) -> str:
    return "number" if re.fullmatch(_NUMBERS, kind) else kind
