"""SQL databases: a query's rows as a stream of Arrow batches, and rows that are written by key."""

from __future__ import annotations

from airflow_mlops.adapters.sql.stream import BATCH_ROWS, stream_query
from airflow_mlops.adapters.sql.upsert import require_upsert, upsert_rows
from airflow_mlops.adapters.sql.window import athena_query

__all__ = ["BATCH_ROWS", "athena_query", "require_upsert", "stream_query", "upsert_rows"]
