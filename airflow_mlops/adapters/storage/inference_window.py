"""The inference log of a window: its files, and how many rows they have."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from airflow_mlops.core.scoring.inference_log import partition_of
from airflow_mlops.errors import UnavailableError

__all__ = ["count_new_rows", "files_of_window"]

_MAGIC = b"PAR1"
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
"""The types of Thrift's compact protocol, in which a Parquet file's footer is written."""


def files_of_window(folder: Path, start: datetime | None = None, end: datetime | None = None) -> tuple[str, ...]:
    """Return the files of a model's log that may hold rows of a window, by their days in UTC, sorted.

    :param folder: of the model's log, which need not be there.
    :param start: with a zone, as ``end``, whose day still belongs; ``None``: the window is open on that side.
    :raises UnavailableError: when the log can't be listed now.
    """
    first, last = (moment and partition_of(moment.astimezone(UTC).date()) for moment in (start, end))
    days = [
        name
        for name in _names(folder)
        if name.startswith("date=") and (not first or first <= name) and (not last or name <= last)
    ]
    return tuple(
        str(folder / day / name)
        for day in days
        for name in _names(folder / day)
        if name.endswith(".parquet") and not name.startswith(".")
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:  # a day that was the oldest may just have been removed
        return []
    except OSError as error:
        raise UnavailableError(
            f"The inference log at {folder} can't be used: {error.strerror or error}. That says nothing about the "
            f"model. Check [mlops] storage_root and its permissions, then retry."
        ) from error


def count_new_rows(files: tuple[str, ...], *, since: float, known: dict[str, tuple[float, int]] | None = None) -> int:
    """Count the rows of the files that were written later than a time, from their footers alone.

    A file that is gone, or can't be read now, has none.

    :param since: seconds since 1970.
    :param known: what an earlier count found, by file: when it was written, and its rows. It is brought up to date.
    """
    before = {} if known is None else known.copy()
    found = {}
    for file in files:
        try:
            written = Path(file).stat().st_mtime
            if written > since:
                same = before.get(file, (None, 0))
                found[file] = (written, same[1] if same[0] == written else _n_rows(file))
        except (OSError, ValueError):
            continue
    if known is not None:
        known.clear()
        known.update(found)
    return sum(n_rows for _, n_rows in found.values())


def _n_rows(file: str) -> int:
    """Return how many rows a Parquet file has, as its footer says.

    The footer is read here, because Arrow's import would cost the triggerer 25 MiB: more than a thousand sensors do.

    :raises ValueError: when it is no Parquet file.
    """
    with Path(file).open("rb") as stream:
        size = stream.seek(-8, os.SEEK_END)
        length = int.from_bytes(stream.read(4), "little")
        if stream.read(4) != _MAGIC or length > size:
            raise ValueError(f"{file} is no Parquet file")
        stream.seek(size - length)
        footer = io.BytesIO(stream.read(length))
    field = 0
    while header := _byte(footer):
        field = field + (header >> 4) if header >> 4 else _zigzag(footer)
        if field == _N_ROWS_FIELD:
            return _zigzag(footer)
        _skip(footer, header & 15)
    raise ValueError(f"the footer of {file} has no number of rows")


_N_ROWS_FIELD = 3
"""``num_rows`` in Parquet's ``FileMetaData``; the version and the schema come before it."""


def _skip(footer: BinaryIO, kind: int) -> None:
    """Go behind a value."""
    if kind in _BOOLEANS:  # of a field: its type is its value
        return
    if kind == _BYTE:
        footer.read(1)
    elif kind in _INTEGERS:
        _varint(footer)
    elif kind == _DOUBLE:
        footer.read(8)
    elif kind == _BINARY:
        footer.seek(_varint(footer), os.SEEK_CUR)
    elif kind in _LISTS:
        header = _byte(footer)
        items = header >> 4 if header >> 4 < 15 else _varint(footer)
        for _ in range(items):
            _skip(footer, _BYTE if header & 15 in _BOOLEANS else header & 15)
    elif kind == _STRUCT:
        while header := _byte(footer):
            if not header >> 4:
                _zigzag(footer)
            _skip(footer, header & 15)
    else:
        raise ValueError(f"a value of type {kind} in a footer")


def _byte(footer: BinaryIO) -> int:
    read = footer.read(1)
    if not read:
        raise ValueError("a footer ends too early")
    return read[0]


def _varint(footer: BinaryIO) -> int:
    value = shift = 0
    while True:
        read = _byte(footer)
        value |= (read & 127) << shift
        if read < 128:
            return value
        shift += 7


def _zigzag(footer: BinaryIO) -> int:
    value = _varint(footer)
    return (value >> 1) ^ -(value & 1)
