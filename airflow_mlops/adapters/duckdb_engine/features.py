"""DuckDB: makes the rows to train on."""

from __future__ import annotations

import contextlib

import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import name, stored, stream
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["feature_rows"]


def feature_rows(parquet: str, data: DatasetSpec) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
    """Stream the rows to train on: the snapshot's own, or those of ``data.features`` over table ``dataset``.

    SQL promises no order, so the rows of a query come out sorted, by the timestamp first.

    :raises DataError: when the query fails.
    """
    dataset = f"(SELECT * FROM {stored(parquet)})"
    if data.features is None:
        return stream(f"FROM {dataset}", subject="The snapshot")
    query = data.features.strip().rstrip(";")
    sql = f"WITH dataset AS {dataset}, features AS ({query}\n) SELECT * FROM features"
    first = f"{name(data.timestamp)}, " if data.timestamp else ""
    return stream(sql, f" ORDER BY {first}COLUMNS(*)", subject="data.features", timestamp=data.timestamp)
