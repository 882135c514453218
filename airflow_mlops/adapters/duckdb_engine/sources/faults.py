"""DuckDB: what its errors mean for somebody who delivers files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.adapters.duckdb_engine.sources.csv_heads import bad_byte
from airflow_mlops.errors import DataError, MlopsError, UnavailableError
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["engine_fault"]

_LIMIT = 6
_ABOUT_DATA = (
    "Invalid Input Error",
    "Conversion Error",
    "Binder Error",
    "Out of Range Error",
    "Not implemented Error: Duplicate name",  # keys in an object of JSON that differ in case only
)
_DAMAGED = ("GZIP", "No magic bytes", "magic number", "corrupt", "Corrupt", "TProtocolException", "ZSTD", "Snappy")


def engine_fault(
    error: Exception,
    data: DatasetSpec,
    *,
    filesystem: Any,
    originals: Mapping[str, str],
    parquet: Sequence[str] = (),
) -> MlopsError:
    """Return what failed: the data, or the engine, which is never reported as bad data.

    :param originals: the files that copies in another encoding were made of, by the copies' names.
    :param parquet: the Parquet files that are read. Where the engine does not say which of them is damaged, or
        whether one is, another library reads them.
    """
    message = str(error)
    for copy, original in originals.items():
        message = message.replace(copy, original)
    line, file = re.search(r"CSV Error on Line: (\d+)", message), re.search(r"file = (.+)", message)
    said = _first_lines(message)
    if line and file:
        return _csv_fault(message, filesystem, file[1].strip(), int(line[1]))
    if "No files found" in message or isinstance(error, FileNotFoundError):
        return DataError(f"{data.subject} changed while they were read: {said}\nNothing was kept; run again.")
    if not message.startswith(_ABOUT_DATA):
        damage = None if "Out of Memory" in message else _damage(filesystem, parquet)
        if damage:
            return DataError(f"{data.subject} can't be read: {damage}\nNothing was kept. Deliver them again.")
    if not message.startswith(_ABOUT_DATA) and not any(mark in message for mark in _DAMAGED):
        return UnavailableError(f"{data.subject}: the engine failed: {said}\nNothing was kept; try again.")
    if "state machine reached an invalid state" in message and file:
        return DataError(
            f"{file[1]}: its line ends are mixed, or a quote is out of place. Nothing was kept. Write one kind of line "
            f"end, and quotes only around whole fields."
        )
    if "json_read expected records" in message:
        return DataError(
            f"{data.subject} have a line that is no JSON object, a value without a name, or no value at all. Nothing "
            f"was kept. Write on each line one object of columns and values."
        )
    return DataError(f"{data.subject} can't be read: {said}\nNothing was kept. Deliver them again.")


def _damage(filesystem: Any, parquet: Sequence[str]) -> str | None:
    """Read files through, and return what is wrong with the first one that can't be."""
    for file in parquet:
        try:
            with filesystem.open(file, "rb") as opened, pq.ParquetFile(opened) as found:
                for group in range(found.num_row_groups):
                    for _ in found.iter_batches(row_groups=[group]):
                        pass
        except (OSError, pa.ArrowException) as error:
            is_lost = isinstance(error, OSError) and error.errno is not None  # it is the system that says so
            return None if is_lost else f"{file} is damaged: {_first_lines(str(error))}"
    return None


def _csv_fault(message: str, filesystem: Any, file: str, line: int) -> DataError:
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if counts:
        is_short = int(counts[2]) < int(counts[1])
        cause = "was cut off, or lacks a delimiter" if is_short else "holds the delimiter outside of quotes"
        return DataError(
            f"{file}: line {line} has {counts[2]} field(s), {counts[1]} were expected. Nothing was kept. Fix the "
            f"line, which {cause} (csv.delimiter, csv.quote)."
        )
    if "unterminated quote" in message or "Maximum line size" in message:
        return DataError(
            f"{file}: line {line} has a quote that is left open. Nothing was kept. Fix the line, or set csv.quote, "
            f"which may be empty where quotes are plain text."
        )
    if "nvalid unicode" in message:
        found = bad_byte(filesystem, file, "utf-8")
        return DataError(f"Line {line} is not in UTF-8. {found}" if found else f"{file}: line {line} is not in UTF-8.")
    return DataError(f"{file}: line {line} can't be read: {_first_lines(message)}\nNothing was kept. Fix the line.")


def _first_lines(message: str) -> str:
    return "\n".join(message.splitlines()[:_LIMIT])
