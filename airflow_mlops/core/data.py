"""Snapshots: what is known of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core.values import Value

__all__ = ["Column", "DatasetSnapshot", "arrived_files"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's name, its Arrow type as text, and how many of its values are null."""

    name: str
    type: str
    n_null: int = 0


@dataclass(frozen=True, kw_only=True)
class DatasetSnapshot(Value):
    """A copy of a dataset that never changes and is named by the digest of its rows.

    :param uri: folder that holds ``data.parquet``, ``manifest.json`` and ``profile.json``.
    :param digest: of the rows in their order, columns and types; not of how they were chunked or stored.
    :param window_start: smallest timestamp among the rows, where the dataset has one.
    :param window_end: largest timestamp among the rows.
    :param source: where the rows came from: path and files with their sizes.
    """

    dataset: str
    uri: str
    digest: str
    n_rows: int
    columns: tuple[Column, ...]
    timestamp: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    source: dict[str, Any]
    created_at: datetime
    created_by: str

    @property
    def data_uri(self) -> str:
        """The Parquet file with the rows."""
        return f"{self.uri}/data.parquet"


def arrived_files(*, now: Mapping[str, str], before: Mapping[str, str], handled: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that have arrived whole and were not handled yet, sorted.

    :param now: a stamp by file, from this look.
    :param before: the stamps of the look before; a file whose stamp still changes is being written.
    :param handled: the stamps at which files were handled; a file that changed since counts as new.

    >>> arrived_files(now={"a": "1", "b": "2"}, before={"a": "1", "b": "1"}, handled={})
    ('a',)
    """
    return tuple(
        sorted(name for name, stamp in now.items() if before.get(name) == stamp and handled.get(name) != stamp)
    )
