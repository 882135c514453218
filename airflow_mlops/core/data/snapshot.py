"""Snapshots: what is known of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_mlops.core.values import Value
from airflow_mlops.errors import DataError, SpecError
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.data import DatasetSpec, in_utc

__all__ = ["Column", "DatasetSnapshot", "RowFilter", "SourceFile", "Window", "arrived_files", "resolve_window"]


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
    :param source: where the rows came from: path and files with their sizes, and the window that was asked for.
    :param file_digest: of the bytes of ``data.parquet``, which is compared sooner than the rows are; empty where it
        is not known.
    :param created_in: the pipeline and the run that made it, where one did.
    :param package_version: of this package, when it was made.
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
    file_digest: str = ""
    created_in: str = ""
    package_version: str = ""

    @property
    def data_uri(self) -> str:
        """The Parquet file with the rows."""
        return f"{self.uri}/data.parquet"


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time span that a dataset is of: ``[start, end)``, in UTC; ``None``: no bound on that side."""

    start: datetime | None = None
    end: datetime | None = None

    def __str__(self) -> str:
        start, end = (bound and f"{bound:%Y-%m-%d %H:%M:%S} UTC" for bound in (self.start, self.end))
        if start and end:
            return f"from {start} until before {end}"
        if start:
            return f"from {start} on"
        return f"before {end}" if end else "of all time"

    @property
    def is_open(self) -> bool:
        """Whether every time lies in it."""
        return self.start is None and self.end is None


def resolve_window(data: DatasetSpec, *, now: datetime, since: datetime | None = None) -> Window:
    """Return the window that a spec means at this time.

    :param now: the time of the run.
    :param since: the latest timestamp that earlier snapshots hold; ``None``: there are none. Timestamps are
        kept in microseconds, so what is later begins one microsecond after it.
    :raises SpecError: when the window would begin or end outside of the years 1 to 9999.
    :raises DataError: when nothing can be later than what earlier snapshots hold.
    """
    if data.since_last_snapshot and since and in_utc(since) == datetime.max.replace(tzinfo=UTC):
        raise DataError(
            f"{data.subject}: the snapshots so far hold the timestamp {since}, the last one that there is, so no row "
            f"can be later. Nothing was read. Fix that row, and remove the snapshot that has it."
        )
    try:
        return _window(data, now, since)
    except OverflowError as error:
        trailing = data.trailing and shown_duration(data.trailing)
        raise SpecError(
            f"{data.subject}: the window (window_start {data.window_start}, window_end {data.window_end}, trailing "
            f"{trailing}) begins or ends outside of the years 1 to 9999 in UTC. Nothing was read. Fix it, or leave "
            f"that bound out."
        ) from error


def _window(data: DatasetSpec, now: datetime, since: datetime | None) -> Window:
    end = in_utc(data.window_end) if data.window_end else None
    if data.trailing:
        end = end or in_utc(now)
        return Window(start=end - data.trailing, end=end)
    if data.since_last_snapshot:
        return Window(start=in_utc(since) + timedelta(microseconds=1) if since else None, end=end)
    return Window(start=in_utc(data.window_start) if data.window_start else None, end=end)


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """Which rows count.

    :param timestamp: the column of times, where there are bounds.
    :param after: rows of this time and before do not count.
    :param until: rows after this time do not count.
    :param among: the values that count, by column.
    """

    timestamp: str = ""
    after: datetime | None = None
    until: datetime | None = None
    among: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that rows are read from.

    :param path: where it is, local or with ``s3://``.
    :param size: in bytes.
    :param stamp: changes when the file does.
    """

    path: str
    size: int
    stamp: str


def arrived_files(*, now: Mapping[str, str], before: Mapping[str, str], handled: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that have arrived whole and were not handled yet, sorted.

    :param now: a stamp by file, from this look.
    :param before: the stamps of the check before; a file whose stamp still changes is being written.
    :param handled: the stamps at which files were handled; a file that changed since counts as new.

    >>> arrived_files(now={"a": "1", "b": "2"}, before={"a": "1", "b": "1"}, handled={})
    ('a',)
    """
    return tuple(
        sorted(name for name, stamp in now.items() if before.get(name) == stamp and handled.get(name) != stamp)
    )
