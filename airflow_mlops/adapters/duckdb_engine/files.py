"""DuckDB: reads source files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, stream
from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["scan_source"]

_READERS = {
    "csv": "read_csv({files}, union_by_name = true, sample_size = -1)",
    "parquet": "read_parquet({files}, union_by_name = true)",
    "jsonl": "read_ndjson({files}, union_by_name = true, sample_size = -1)",
}
_FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def scan_source(data: DatasetSpec, files: Sequence[Path]) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
    """Stream the rows of the files that lie in the spec's window, in the order of the files.

    Columns are matched by name and a column that a file lacks is null in its rows. Rows whose timestamp is
    null or no timestamp stay in, whatever the window: it is the validation that has to see them.

    :raises DataError: when the files can't be read, or lack the timestamp column that the window needs.
    """
    reader = _READERS[_format_of(data, files)].format(files=literal([str(file) for file in files]))
    where = []
    if data.timestamp:
        moment = f"TRY_CAST({name(data.timestamp)} AS TIMESTAMP)"
        where += [f"{moment} >= {literal(data.window_start)}"] if data.window_start else []
        where += [f"{moment} < {literal(data.window_end)}"] if data.window_end else []
        where = [f"(({' AND '.join(where)}) OR {moment} IS NULL)"] if where else []
    then = f" WHERE {where[0]}" if where else ""
    return stream(f"SELECT * FROM {reader}", then, subject=f"The files at {data.path!r}", timestamp=data.timestamp)


def _format_of(data: DatasetSpec, files: Sequence[Path]) -> str:
    if data.format:
        return data.format
    found = sorted({_FORMATS.get(file.suffix.lower(), file.suffix) for file in files})
    if len(found) != 1 or found[0] not in _READERS:
        raise DataError(
            f"The files at {data.path!r} are of kind {bounded(found)}; one of csv, parquet and jsonl was expected. "
            f"Narrow data.path to one kind, or set data.format."
        )
    return found[0]
