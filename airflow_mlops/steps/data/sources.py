"""Sources: opens what a dataset comes from, whatever that is, as a stream of rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_mlops.core.data.snapshot import SourceFile, Window
from airflow_mlops.errors import DataError, NoRowsError, bounded
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps.data.connections import Connections

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OpenSource", "copy_source", "open_source"]

log = logging.getLogger(__name__)

_MAX_LISTED = 100
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class OpenSource:
    """A source that is being read.

    :param rows: all of them, once, in an order that does not change while the source does not.
    :param lineage: where they come from, as JSON: path and files, query, or function. Of a function's parameters it
        has the names and a digest of the values.
    """

    rows: pa.RecordBatchReader
    lineage: dict[str, Any]


def copy_source(
    data: DatasetSpec,
    window: Window,
    copy: Callable[[OpenSource], _Made],
    *,
    connections: Connections,
    scratch: Path,
) -> _Made:
    """Open a source, hand it to ``copy`` and return what that makes of it.

    ``copy`` is called a second time, from the beginning, when rows turn out not to have the types that a
    sample of them had: it has to forget what the first call did.

    :raises DataError: when there is nothing to read, it can't be read, or it changes while it is read.
    :raises UnavailableError: when the source does not answer.
    """
    from airflow_mlops.adapters.duckdb_engine import TypesWidenedError

    try:
        with open_source(data, window, connections=connections, scratch=scratch) as source:
            return copy(source)
    except TypesWidenedError as widened:
        log.info("source is read again: a value has another type than the sample had: %s", widened)
    with open_source(data, window, connections=connections, scratch=scratch, exact_types=True) as source:
        return copy(source)


@contextlib.contextmanager
def open_source(
    data: DatasetSpec, window: Window, *, connections: Connections, scratch: Path, exact_types: bool = False
) -> Iterator[OpenSource]:
    """Open a source; when the block ends well, the files are what they were when it began.

    Use :func:`copy_source`, unless you handle :class:`~airflow_mlops.adapters.duckdb_engine.TypesWidenedError`.

    :param window: rows outside it are left out; see :func:`~airflow_mlops.core.data.snapshot.resolve_window`.
    :param connections: what connections are opened with.
    :param scratch: a folder for temporary copies.
    :param exact_types: find the types of CSV columns from all rows, which reads the files twice.
    :raises DataError: when there is nothing to read, it can't be read, or it changes while it is read.
    :raises UnavailableError: when the source does not answer.
    """
    if data.function:
        opened = _open_function(data, window)
    elif data.athena:
        opened = _open_athena(data, window, connections, scratch)
    elif data.query:
        opened = _open_query(data, window, connections)
    else:
        opened = _open_files(data, window, connections, scratch, exact_types=exact_types)
    with opened as source:
        yield source


@contextlib.contextmanager
def _open_files(
    data: DatasetSpec,
    window: Window,
    connections: Connections,
    scratch: Path,
    *,
    exact_types: bool = False,
    is_sorted: bool = False,
) -> Iterator[OpenSource]:
    from airflow_mlops.adapters.duckdb_engine import scan_source

    place = _Place(data, connections)
    found = _found(data, window, place)
    paths = [file.path for file in found]
    with scan_source(
        data,
        paths,
        window,
        filesystem=place.filesystem(),
        scratch=scratch,
        exact_types=exact_types,
        is_sorted=is_sorted,
    ) as rows:
        yield OpenSource(rows=rows, lineage=_lineage(data, found))
    if _found(data, window, place, while_read=True) != found:
        raise _changed(data)


@contextlib.contextmanager
def _open_query(data: DatasetSpec, window: Window, connections: Connections) -> Iterator[OpenSource]:
    from airflow_mlops.adapters.sql import stream_query

    query = data.query or ""
    engine = connections.database(data.conn_id or "")
    try:
        with stream_query(engine, query, timestamp=data.timestamp, window=window) as rows:
            yield OpenSource(rows=rows, lineage={"query": query, "conn_id": data.conn_id})
    finally:
        engine.dispose()


@contextlib.contextmanager
def _open_function(data: DatasetSpec, window: Window) -> Iterator[OpenSource]:
    from airflow_mlops.adapters.user_code.load import code_digest
    from airflow_mlops.adapters.user_code.source import call_source

    function = data.function or ""
    lineage = {
        "function": function,
        "params": sorted(data.function_params),
        "params_digest": _digest_of(data.function_params),
        "code_digest": code_digest(function),
    }
    with call_source(function, data.function_params, timestamp=data.timestamp, window=window) as rows:
        yield OpenSource(rows=rows, lineage=lineage)


@contextlib.contextmanager
def _open_athena(data: DatasetSpec, window: Window, connections: Connections, scratch: Path) -> Iterator[OpenSource]:
    from airflow_mlops.adapters.sql import athena_query

    query = athena_query(data, window)
    folder = connections.unload(data, query)
    unloaded = DatasetSpec(path=folder, conn_id=data.conn_id, format="parquet", timestamp=data.timestamp)
    if not _Place(unloaded, connections).files():
        raise NoRowsError(f"{data.subject} gave no row on Athena. Nothing was kept. Check the window and the query.")
    # Athena writes several files at once, in no order; sorted, the same rows have the same digest.
    with _open_files(unloaded, window, connections, scratch, is_sorted=True) as source:
        yield replace(source, lineage={"query": query, "conn_id": data.conn_id, "unloaded": source.lineage})


class _Place:
    """Where files are: on this machine or on S3."""

    def __init__(self, data: DatasetSpec, connections: Connections) -> None:
        self._path, self._recursive = data.path or "", data.partitioned
        self._access = connections.s3(data.conn_id) if self._path.startswith("s3://") else None

    def files(self) -> list[SourceFile]:
        """Return the files that are there now."""
        if self._access is None:
            from airflow_mlops.adapters.storage.local_files import list_files

            return list_files(self._path, recursive=self._recursive)
        from airflow_mlops.adapters.s3.objects import list_objects

        return list_objects(self._access, self._path, recursive=self._recursive)

    def filesystem(self) -> Any:
        """Return an fsspec file system for them; ``None``: the local one."""
        if self._access is None:
            return None
        from airflow_mlops.adapters.s3.files import open_filesystem

        return open_filesystem(self._access, self._path)


def _found(data: DatasetSpec, window: Window, place: _Place, *, while_read: bool = False) -> list[SourceFile]:
    """Return the files that may have rows of the window."""
    from airflow_mlops.adapters.duckdb_engine import files_in_window

    there = sorted(place.files(), key=_place_in_order)
    meant = files_in_window(there, data.timestamp, window) if data.partitioned else there
    if while_read:
        return meant
    if not there:
        text = f"No file matches {data.path!r}. Nothing was read. Deliver the data there, or fix data.path."
        raise NoRowsError(text)
    if not meant:
        raise NoRowsError(
            f"None of the {len(there)} file(s) at {data.path!r} lies in the window {window} by its partition "
            f"{data.timestamp!r}. Nothing was read and the champion stays. Check the window and the delivery."
        )
    empty = [file.path.rpartition("/")[2] for file in meant if file.size == 0]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(meant)} file(s) at {data.path!r} are empty (0 bytes): {bounded(empty)}. Nothing was "
            f"read and the champion stays. Deliver them again, or remove them."
        )
    return meant


def _place_in_order(file: SourceFile) -> tuple[list[str | int], str]:
    """Put part-2 before part-10, as whoever numbers files means it."""
    parts: list[str | int] = [*re.split(r"(\d+)", file.path)]
    parts[1::2] = map(int, parts[1::2])  # text and digits take turns, so like is compared with like
    return parts, file.path


def _changed(data: DatasetSpec) -> DataError:
    return DataError(f"The files at {data.path!r} changed while they were read. Nothing was kept; run again.")


def _digest_of(params: Mapping[str, Any]) -> str:
    """Return what tells whether parameters are the same, and not what they are: one may be a password."""
    text = json.dumps(params, sort_keys=True, default=repr)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _lineage(data: DatasetSpec, found: Sequence[SourceFile]) -> dict[str, Any]:
    listed = [{"name": file.path, "size": file.size, "stamp": file.stamp} for file in found[:_MAX_LISTED]]
    return {"path": data.path, "n_files": len(found), "files": listed}
