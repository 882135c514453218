"""Hive partitions: columns whose values are folder names, such as ``day=2026-01-31``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import unquote

from airflow_mlops.core.data.snapshot import SourceFile, Window
from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.data import in_utc

__all__ = ["files_in_window", "partition_types", "require_apart", "require_one_case"]

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
_KINDS = {
    "DATE": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "TIMESTAMP": re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}(:\d{2}){1,2}([.]\d+)?"),
    "BIGINT": re.compile(r"0|-?[1-9]\d{0,17}"),
}


def files_in_window(files: Sequence[SourceFile], column: str | None, window: Window) -> list[SourceFile]:
    """Return the files that may have rows of the window, where ``column`` is a partition's.

    A file whose partition has no time as its value stays, as rows without a timestamp do.
    """
    return [file for file in files if _may_lie_in(_values(file.path).get(column or ""), window)]


def partition_types(files: Sequence[str]) -> dict[str, str]:
    """Return the type of each partition column, such that all its values fit.

    :raises DataError: when the files lie in folders of different partitions.
    """
    values = [_values(file) for file in files]
    keys = [tuple(each) for each in values]
    differing = next((index for index, each in enumerate(keys) if each != keys[0]), None)
    if differing is not None or not keys[0]:
        raise DataError(
            f"{files[differing or 0]} lies in partitions {bounded(keys[differing or 0])}, the first file in "
            f"{bounded(keys[0])}; data.partitioned needs the same for all, as in folder/day=2026-01-31/a.csv. "
            f"Nothing was read. Fix data.path, or set data.partitioned to false."
        )
    return {key: _type_of({each[key] for each in values}) for key in keys[0]}


def require_one_case(columns: Iterable[str], subject: str) -> None:
    """Refuse names that differ in upper and lower case only, which the engine takes for one.

    :raises DataError: naming two of them.
    """
    known: dict[str, str] = {}
    for column in columns:
        other = known.setdefault(column.casefold(), column)
        if other != column:
            raise DataError(
                f"{subject} have a column {other!r} and a column {column!r}, which differ in upper and lower "
                f"case only. Nothing was read. Write the names alike."
            )


def require_apart(columns: Iterable[str], partitions: Iterable[str], subject: str) -> None:
    """Refuse files with a column that is a partition too: one of the two would hide the other.

    :raises DataError: naming them.
    """
    keys = {key.casefold() for key in partitions}
    both = [column for column in columns if column.casefold() in keys]
    if both:
        raise DataError(
            f"{subject} have columns that are named as their partitions: {bounded(both)}. Nothing was read, because "
            f"the two may differ. Leave them out of the files, or set data.partitioned to false."
        )


def _values(path: str) -> dict[str, str]:
    parts = [part.partition("=") for part in path.split("/")[:-1]]
    return {key: unquote(value) for key, sign, value in parts if sign and key}


def _may_lie_in(value: str | None, window: Window) -> bool:
    if value is None or not (_KINDS["DATE"].fullmatch(value) or _KINDS["TIMESTAMP"].fullmatch(value)):
        return True
    try:
        moment = in_utc(datetime.fromisoformat(value))
    except ValueError:
        return True
    return (window.start is None or moment >= window.start) and (window.end is None or moment < window.end)


def _type_of(values: set[str]) -> str:
    for kind, pattern in _KINDS.items():
        if all(value == _NOTHING or pattern.fullmatch(value) for value in values):
            return kind
    return "VARCHAR"
