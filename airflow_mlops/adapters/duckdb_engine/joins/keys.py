"""DuckDB: whether a key tells rows apart."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlops.adapters.duckdb_engine._engine import connect, name, stored

__all__ = ["count_repeated"]

_MEMORY_LIMIT = "128MB"  # what does not fit goes to disk: ten million keys take as much as one


def count_repeated(parquet: str, key: Sequence[str]) -> tuple[int, int]:
    """Count the keys that more than one row has, and these rows.

    :param key: the columns that make it.
    """
    columns = ", ".join(map(name, key))
    repeated = f"SELECT count(*) AS n FROM {stored(parquet)} GROUP BY {columns} HAVING count(*) > 1"
    with connect(f"The key of {parquet}", memory_limit=_MEMORY_LIMIT) as engine:
        n_keys, n_rows = engine.execute(f"SELECT count(*), coalesce(sum(n), 0) FROM ({repeated})").fetchall()[0]
    return int(n_keys), int(n_rows)
