"""SQL databases as a source: a query's rows as a stream of Arrow batches."""

from __future__ import annotations

from airflow_mlops.adapters.sql.stream import BATCH_ROWS, stream_query
from airflow_mlops.adapters.sql.window import athena_query

__all__ = ["BATCH_ROWS", "athena_query", "stream_query"]
