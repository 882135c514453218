"""DuckDB: answers questions about a snapshot."""

from __future__ import annotations

import math
from datetime import datetime

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, one_row

__all__ = ["examples_that_are_not", "quantiles", "time_range"]


def time_range(parquet: str, column: str) -> tuple[datetime | None, datetime | None]:
    """Return the smallest and the largest timestamp; ``None`` where no value is a timestamp."""
    moment = f"TRY_CAST({name(column)} AS TIMESTAMP)"
    low, high = one_row(parquet, f"min({moment}), max({moment})")
    return low, high


def quantiles(parquet: str, column: str, n_bins: int) -> list[float]:
    """Return ``n_bins + 1`` quantiles, from the smallest to the largest, of a column's finite values.

    :returns: ascending; empty when no value is finite.
    """
    value = f"{name(column)}::DOUBLE"
    shares = [index / n_bins for index in range(n_bins + 1)]
    found = one_row(parquet, f"quantile_disc({value}, {shares}) FILTER (isfinite({value}))")[0]
    return [float(value) for value in found or [] if math.isfinite(value)]


def examples_that_are_not(parquet: str, column: str, arrow_type: str, limit: int = 3) -> tuple[str, ...]:
    """Return some of a text column's values that can't be read as the type that was expected."""
    wanted = "TIMESTAMP" if arrow_type.startswith(("timestamp", "date")) else "DOUBLE"
    quoted = name(column)
    with connect(f"Column {column!r}") as connection:
        rows = connection.execute(
            f"SELECT DISTINCT {quoted}::VARCHAR FROM read_parquet({literal(parquet)}) "
            f"WHERE {quoted} IS NOT NULL AND TRY_CAST({quoted} AS {wanted}) IS NULL ORDER BY 1 LIMIT {limit}"
        ).fetchall()
    return tuple(str(row[0])[:80] for row in rows)
