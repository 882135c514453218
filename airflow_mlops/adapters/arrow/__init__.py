"""Arrow and Parquet: streamed writing with a digest of the content, streamed reading."""

from __future__ import annotations

from airflow_mlops.adapters.arrow.digest import BLOCK_ROWS, RowDigest, file_digest
from airflow_mlops.adapters.arrow.reader import (
    After,
    check_file,
    check_rows,
    mask_batches,
    read_column,
    read_frame,
    sample_frame,
)
from airflow_mlops.adapters.arrow.writer import ParquetDigestWriter

__all__ = [
    "BLOCK_ROWS",
    "After",
    "ParquetDigestWriter",
    "RowDigest",
    "check_file",
    "check_rows",
    "file_digest",
    "mask_batches",
    "read_column",
    "read_frame",
    "sample_frame",
]
