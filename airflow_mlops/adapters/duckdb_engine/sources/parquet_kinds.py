"""DuckDB: whether Parquet files that are read as one agree on what their columns are."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import name, paths
from airflow_mlops.adapters.duckdb_engine.sources.partitions import require_one_case
from airflow_mlops.errors import DataError, bounded

__all__ = ["require_same_kinds", "unnamed_index"]

_NOTHING = ("NULL", '"NULL"')  # of which kind a column without any value may be written
_INDEX = re.compile(r"__index_level_\d+__")
_NUMBER = re.compile(r"\b(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\s*\d+\))")
_CHANGES = {"DOUBLE": re.compile(r"BIGINT|HUGEINT|DECIMAL"), "FLOAT": re.compile(r"INTEGER|BIGINT|HUGEINT|DECIMAL")}

_Kinds = dict[str, list[str]]
"""The files that have a column, by the kind that they have it as."""


def require_same_kinds(connection: duckdb.DuckDBPyConnection, files: Sequence[str], subject: str) -> dict[str, str]:
    """Refuse files that have a column as different kinds, which the engine would turn into a third one.

    Numbers of any width are one kind, as long as no value has to change; times with a time zone and without one
    are two.

    :returns: a kind that each column has: the engine's name of it or, of a duration, Arrow's.
    :raises DataError: naming the column, and a file for each of two kinds.
    """
    found: dict[str, _Kinds] = {}
    for file, column, kind in _columns(connection, files, subject):
        kinds = found.setdefault(column, {})
        if kind not in _NOTHING:
            kinds.setdefault(kind, []).append(file)
    require_one_case(found, subject)
    differing = {column: kinds for column, kinds in found.items() if len(kinds) > 1}
    for column, kinds in differing.items():
        _require_one_family(column, kinds)
    if differing:
        rows = connection.sql(f"FROM read_parquet({paths(files)}, union_by_name = true, hive_partitioning = false)")
        common = dict(zip(rows.columns, map(str, rows.types), strict=True))
        for column, kinds in differing.items():
            _require_unchanged(connection, column, kinds, common[column])
    return {column: next(iter(kinds), "NULL") for column, kinds in found.items()}


def unnamed_index(kinds: Mapping[str, str], subject: str) -> str | None:
    """Return the column that is a data frame's index of whole numbers without a name, which says nothing.

    :param kinds: of all columns, from :func:`require_same_kinds`.
    :raises DataError: when such an index may say something: it has other values, or several levels.
    """
    levels = [column for column in kinds if _INDEX.fullmatch(column)]
    if len(levels) > 1 or any(not re.fullmatch("U?(TINY|SMALL|BIG)?INT(EGER)?|NULL", kinds[level]) for level in levels):
        raise DataError(
            f"{subject} have the index of a data frame, which has no name and is more than a number of the row: "
            f"{bounded(f'{level} ({kinds[level]})' for level in levels)}. Nothing was read. Write the files "
            f"with an index that has a name (frame.rename_axis('time')) to have it as a column, or without one "
            f"(index=False)."
        )
    return next(iter(levels), None)


def _columns(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], subject: str
) -> Iterator[tuple[str, str, str]]:
    """Give file, name and kind of each column; parts of nested columns are in the kind."""
    durations = _durations(connection, files)
    rows = iter(
        connection.execute(
            f"SELECT file_name, name, duckdb_type, coalesce(num_children, 0) FROM parquet_schema({paths(files)})"
        ).fetchall()
    )
    for file, _, _, n_columns in rows:  # the root, and then each column before its parts
        seen: set[str] = set()
        for _ in range(n_columns):
            _, column, kind, n_parts = next(rows)
            while n_parts:
                n_parts += next(rows)[3] - 1
            if column in seen:
                raise DataError(f"{subject}: {file} has two columns {column!r}. Nothing was read. Name them apart.")
            seen.add(column)
            yield file, column, durations.get((file, column), kind)


def _durations(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return the columns that Arrow wrote as durations: Parquet has none, and calls them integers."""
    schemas = connection.execute(
        f"SELECT file_name, value FROM parquet_kv_metadata({paths(files)}) WHERE key = 'ARROW:schema'"
    ).fetchall()
    return {
        (file, column.name): str(column.type)
        for file, schema in schemas
        for column in _arrow_schema(file, schema)
        if pa.types.is_duration(column.type)
    }


def _arrow_schema(file: str, encoded: bytes) -> pa.Schema:
    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded)))
    except (ValueError, pa.ArrowException) as error:
        raise pa.ArrowInvalid(f"{file}: its Arrow schema is corrupt: {error}") from error


def _require_one_family(column: str, kinds: _Kinds) -> None:
    (known, first), *others = sorted((kind, files[0]) for kind, files in kinds.items())
    for kind, file in others:
        if not _is_one_family(known, kind):
            raise DataError(
                f"Column {column!r} is {known} in {first} and {kind} in {file}. Nothing was read, because one of them "
                f"would be misread. Deliver them alike, or narrow data.path."
            )


def _is_one_family(one: str, other: str) -> bool:
    return _NUMBER.sub("number", one) == _NUMBER.sub("number", other)


def _require_unchanged(connection: duckdb.DuckDBPyConnection, column: str, kinds: _Kinds, common: str) -> None:
    """Refuse numbers that the type which holds the other files' too would change: digits of keys and of money."""
    for kind, files in kinds.items():
        if not any(number in common and changed.search(kind) for number, changed in _CHANGES.items()):
            continue
        value = name(column)
        changes = f"TRY_CAST(TRY_CAST({value} AS {common}) AS {kind}) IS DISTINCT FROM {value}"
        changed = connection.execute(
            f"SELECT {value}::VARCHAR FROM read_parquet({paths(files)}) WHERE {changes} LIMIT 3"
        ).fetchall()
        if changed:
            raise DataError(
                f"Column {column!r} is {kind} in {files[0]} and {' and '.join(k for k in kinds if k != kind)} in "
                f"others; as {common}, which holds both, values of it change: {bounded([v for (v,) in changed])}. "
                f"Nothing was read. Deliver the files alike, or narrow data.path."
            )
