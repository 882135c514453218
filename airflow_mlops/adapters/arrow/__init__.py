"""Arrow and Parquet: streamed writing with a digest of the content, streamed reading."""

from __future__ import annotations

from airflow_mlops.adapters.arrow.blocks import part_rows, read_blocks, sample_frame, schema_of, stage_rows
from airflow_mlops.adapters.arrow.chunks import frame_of, predicted_rows, read_chunks, row_ids, table_of
from airflow_mlops.adapters.arrow.digest import RowDigest
from airflow_mlops.adapters.arrow.keys import is_ascending
from airflow_mlops.adapters.arrow.reader import check_file, check_rows, read_column, read_frame
from airflow_mlops.adapters.arrow.values import moments, n_null, numbers, texts, values_of
from airflow_mlops.adapters.arrow.writer import ParquetDigestWriter

__all__ = [
    "ParquetDigestWriter",
    "RowDigest",
    "check_file",
    "check_rows",
    "frame_of",
    "is_ascending",
    "moments",
    "n_null",
    "numbers",
    "part_rows",
    "predicted_rows",
    "read_blocks",
    "read_chunks",
    "read_column",
    "read_frame",
    "row_ids",
    "sample_frame",
    "schema_of",
    "stage_rows",
    "table_of",
    "texts",
    "values_of",
]
