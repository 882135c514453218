"""DuckDB: counts rows in bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, stored
from airflow_mlops.core.bins import SPECIAL_BINS
from airflow_mlops.core.profile import OTHER, ColumnProfile, bin_labels, fold_rare

__all__ = ["MAX_KEY_LENGTH", "count_columns", "finite_histogram", "number_literals"]

MAX_KEY_LENGTH = 256
"""Characters of the longest text that counts as a category; longer ones are prose."""

_LARGEST = math.nextafter(math.inf, 0)


def count_columns(
    parquet: str, bins: Sequence[ColumnProfile], *, after: tuple[str, datetime] | None = None
) -> tuple[int, tuple[ColumnProfile, ...]]:
    """Count columns in given bins over all rows.

    :param bins: the columns, with the edges of their bins. A column without edges is categorical: its categories
        are those that ``bins`` counted, or the most frequent ones that are found.
    :param after: a timestamp column and a moment: only later rows count.
    :returns: the number of rows that counted, and a profile for each column.
    :raises DataError: when the file can't be read, or lacks a column.
    """
    rows = f"(FROM {stored(parquet)}"
    rows += f" WHERE TRY_CAST({name(after[0])} AS TIMESTAMP) > {literal(after[1])})" if after else ")"
    asked = [
        _questions(column.name, column.edges) if column.edges is not None else (f"count({name(column.name)})",)
        for column in bins
    ]
    with connect(f"The snapshot {parquet}") as connection:
        expressions = ["count(*)", *(question for questions in asked for question in questions)]
        n_rows, *answers = connection.execute(f"SELECT {', '.join(expressions)} FROM {rows}").fetchall()[0]
        rest = iter(answers)
        profiles = []
        for column, questions in zip(bins, asked, strict=True):
            found = [next(rest) for _ in questions]
            if column.edges is not None:
                counts = _in_bins(column.edges, found, n_rows)
            else:
                counts = _in_categories(connection, rows, column, n_rows - found[0], n_rows)
            profiles.append(ColumnProfile(name=column.name, edges=column.edges, counts=counts))
    return n_rows, tuple(profiles)


def _value_counts(
    connection: duckdb.DuckDBPyConnection, rows: str, column: str, among: Sequence[str] | None = None
) -> dict[str, int]:
    """Count a column's values as text, or just some of them, whatever the number of the others."""
    text = f"{name(column)}::VARCHAR"
    where = f"{text} IN ({', '.join(map(literal, among))})" if among else f"{name(column)} IS NOT NULL"
    found = connection.execute(f"SELECT {text}, count(*) FROM {rows} WHERE {where} GROUP BY 1").fetchall()
    return dict(found)


def number_literals(values: Sequence[float]) -> str:
    """Write numbers so that none loses a digit or becomes a decimal."""
    return "[" + ", ".join(f"'{value!r}'::DOUBLE" for value in values) + "]"


def _in_categories(
    connection: duckdb.DuckDBPyConnection, rows: str, column: ColumnProfile, n_null: int, n_rows: int
) -> dict[str, int]:
    known = [label.removeprefix("=") for label in column.counts if label.startswith("=")]
    is_uncounted = bool(column.counts) and not known
    counts = {} if is_uncounted else _value_counts(connection, rows, column.name, known)
    return fold_rare(counts, n_null, n_rows, known=column.counts or {OTHER: 0} if is_uncounted else column.counts)


def _questions(column: str, edges: Sequence[float]) -> tuple[str, str, str, str]:
    value = f"{name(column)}::DOUBLE"
    uppers = [*(math.nextafter(edge, -math.inf) for edge in edges[:-1]), *edges[-1:], _LARGEST]
    return (
        f"count({value})",
        f"count(*) FILTER (WHERE {value} = '-inf'::DOUBLE)",
        f"count(*) FILTER (WHERE {value} = 'inf'::DOUBLE)",
        finite_histogram(value, sorted(set(uppers))),
    )


def finite_histogram(value: str, uppers: Sequence[float]) -> str:
    """Write a histogram of the finite values by the upper bounds of its bins, which belong to them.

    For bins that are closed on the left, give the number before each edge. NaN has to be left out by a filter: it
    would land in the first bin.
    """
    return f"histogram({value}, {number_literals(uppers)}) FILTER (WHERE isfinite({value}))"


def _in_bins(edges: tuple[float, ...], found: Sequence[Any], n_rows: int) -> dict[str, int]:
    """Read the answers to the questions of a numeric column."""
    n_values, n_low, n_high, histogram = found
    counted: dict[float, int] = histogram or {}
    counts = dict.fromkeys((*SPECIAL_BINS, *bin_labels(edges)), 0)
    uppers = [*(math.nextafter(edge, -math.inf) for edge in edges[1:-1]), *edges[-1:]]
    counts |= {"null": n_rows - n_values, "-inf": n_low, "+inf": n_high, "above": counted.get(_LARGEST, 0)}
    if edges:
        counts["below"] = counted.get(math.nextafter(edges[0], -math.inf), 0)
        counts.update(zip(bin_labels(edges), (counted.get(upper, 0) for upper in uppers), strict=True))
    counts["nan"] = n_rows - sum(counts.values())
    return counts
