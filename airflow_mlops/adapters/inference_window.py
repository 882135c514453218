"""The inference log of a window: its files, and how many rows they have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.core.inference import partition_of

__all__ = ["count_new_rows", "files_of_window"]


def files_of_window(folder: Path, start: datetime, end: datetime) -> tuple[str, ...]:
    """Return the files of a model's log that may hold rows of a window, by their days in UTC, sorted.

    :param folder: of the model's log, which need not be there.
    """
    first, last = (partition_of(moment.astimezone(UTC).date()) for moment in (start, end))
    days = [day for day in folder.glob("date=*") if first <= day.name <= last]
    return tuple(sorted(str(file) for day in days for file in day.glob("*.parquet") if not file.name.startswith(".")))


def count_new_rows(files: tuple[str, ...], *, since: float) -> int:
    """Count the rows of the files that were written later than a moment, from their footers alone.

    A file that is gone, or can't be read now, has none.

    :param since: seconds since 1970.
    """
    n_rows = 0
    for file in files:
        try:
            if Path(file).stat().st_mtime > since:
                n_rows += int(pq.read_metadata(file).num_rows)
        except (OSError, pa.ArrowException):
            continue
    return n_rows
