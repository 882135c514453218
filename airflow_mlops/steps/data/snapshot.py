"""Snapshots: the source's rows, copied once and never changed."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlops._version import __version__
from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.adapters.storage.store import Storage, write_document
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import DatasetSnapshot, Window
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import IntegrityError, NoRowsError, NothingNewError
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps.data._windows import resolve_for_run
from airflow_mlops.steps.data.connections import Connections, NoConnections
from airflow_mlops.steps.data.snapshot_notes import (
    accepted_marks,
    note_use,
    note_verdict,
    snapshot_folder,
    snapshot_names,
)
from airflow_mlops.steps.data.sources import OpenSource, copy_source
from airflow_mlops.steps.platform import folder_name

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "check_snapshot",
    "list_snapshots",
    "load_profile",
    "load_snapshot",
    "note_verdict",
    "snapshot_dataset",
    "store_rows",
]

log = logging.getLogger(__name__)

_DATA, _MANIFEST, _PROFILE = "data.parquet", "manifest.json", "profile.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Origin:
    """What a manifest says of how a snapshot came to be, beside its rows."""

    dataset: str
    timestamp: str | None
    run: PipelineRun | None
    actor: str = "unknown"


def snapshot_dataset(
    data: DatasetSpec,
    *,
    dataset: str,
    storage: Storage,
    connections: Connections | None = None,
    run: PipelineRun | None = None,
    actor: str = "unknown",
    now: datetime | None = None,
) -> DatasetSnapshot:
    """Copy the source's rows into a Parquet file that is named by their digest.

    The rows are streamed. Rows that are there already make no second copy: the snapshot that holds them is
    returned as it is, with the source and the author that it had. Where its file was changed or is gone, it is
    made anew.

    :param dataset: the name that snapshots of the same source are kept under.
    :param connections: opens the connections that the spec names; ``None``: there are none.
    :param run: for whom the snapshot is made. Each try of a run sees the window that its first try saw.
    :param actor: who makes it, where there is no run.
    :param now: the time that the window is counted from; ``None``: this one.
    :raises DataError: when the source can't be read, or changes while it is read.
    :raises NoRowsError: when there is no row.
    :raises NothingNewError: when no row is later than what was accepted so far, and only such rows are wanted.
    :raises UnavailableError: when the source does not answer or the storage can't be written.
    """
    resolved = resolve_for_run(
        data,
        dataset=dataset,
        storage=storage,
        run=run,
        now=now or datetime.now(UTC),
        accepted_until=lambda: _accepted_until(storage, dataset, data.timestamp),
    )
    window = resolved.window
    origin = _Origin(dataset=dataset, timestamp=data.timestamp, run=run, actor=actor)

    def fill(parquet: Path) -> tuple[arrow.ParquetDigestWriter, dict[str, Any]]:
        def copy(source: OpenSource) -> tuple[arrow.ParquetDigestWriter, dict[str, Any]]:
            return _write(parquet, source.rows), source.lineage

        with tempfile.TemporaryDirectory(prefix="mlops-source-") as scratch:
            writer, lineage = copy_source(
                data, window, copy, connections=connections or NoConnections(), scratch=Path(scratch)
            )
        if writer.n_rows == 0:
            raise _no_row(data, window, resolved.since, lineage)
        return writer, {**lineage, "window": [bound and bound.isoformat() for bound in (window.start, window.end)]}

    return _store(fill, origin, storage)


def store_rows(
    rows: pa.RecordBatchReader,
    *,
    dataset: str,
    storage: Storage,
    timestamp: str | None = None,
    source: Mapping[str, Any],
    run: PipelineRun | None = None,
) -> DatasetSnapshot:
    """Keep rows that were made from another snapshot's as a snapshot of its own.

    :param source: what they were made from, as JSON.
    :raises NoRowsError: when there is no row.
    """

    def fill(parquet: Path) -> tuple[arrow.ParquetDigestWriter, dict[str, Any]]:
        writer = _write(parquet, rows)
        if writer.n_rows == 0:
            raise NoRowsError(f"Dataset {dataset!r}: no row is left to keep. Nothing was kept and the champion stays.")
        return writer, dict(source)

    return _store(fill, _Origin(dataset=dataset, timestamp=timestamp, run=run), storage)


def load_snapshot(storage: Storage, dataset: str, digest: str) -> DatasetSnapshot:
    """Return the snapshot with this digest.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetSnapshot.from_dict(storage.read_json(*snapshot_folder(dataset, digest), _MANIFEST))


def load_profile(storage: Storage, dataset: str, digest: str) -> DatasetProfile:
    """Return the profile that was counted when the snapshot was made.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetProfile.from_dict(storage.read_json(*snapshot_folder(dataset, digest), _PROFILE))


def list_snapshots(storage: Storage, dataset: str) -> list[DatasetSnapshot]:
    """Return the snapshots of a dataset, oldest first.

    :raises IntegrityError: when a manifest is missing or damaged.
    """
    places = [("snapshots", folder_name(dataset), name) for name in snapshot_names(storage, dataset)]
    found = [snapshot for place in places if (snapshot := _read_if_there(storage, *place)) is not None]
    return sorted(found, key=lambda snapshot: (snapshot.created_at, snapshot.digest))


def check_snapshot(snapshot: DatasetSnapshot) -> None:
    """See that a snapshot's file is the one that was written.

    :raises IntegrityError: when it was changed, or is gone.
    """
    if snapshot.file_digest:
        arrow.check_file(snapshot.data_uri, snapshot.file_digest)
    else:  # its manifest is older than the digests of files
        arrow.check_rows(snapshot.data_uri, snapshot.digest)


def _write(parquet: Path, rows: pa.RecordBatchReader) -> arrow.ParquetDigestWriter:
    with arrow.ParquetDigestWriter(parquet, rows.schema) as writer:
        for batch in rows:
            writer.write(batch)
    return writer


def _store(
    fill: Callable[[Path], tuple[arrow.ParquetDigestWriter, dict[str, Any]]], origin: _Origin, storage: Storage
) -> DatasetSnapshot:
    """Have a file written, and keep it with its manifest and its profile, all of it at once or nothing."""
    with storage.staging("snapshots", folder_name(origin.dataset)) as staged:
        parquet = staged / _DATA
        writer, source = fill(parquet)
        parts = snapshot_folder(origin.dataset, writer.digest)
        # Noted before one looks: who prunes hides the folder before it reads the note, so one of both sees the other.
        note_use(storage, origin.dataset, writer.digest)
        known = _read_if_there(storage, *parts)
        if known is not None:
            log.info("snapshot unchanged: digest=%s n_rows=%d", known.digest, known.n_rows)
            return _with_timestamp(_fixed(known, parquet, writer.file_digest, storage), origin.timestamp)
        low, high = _time_range(parquet, origin.timestamp)
        snapshot = DatasetSnapshot(
            dataset=origin.dataset,
            uri=str(storage.path(*parts)),
            digest=writer.digest,
            n_rows=writer.n_rows,
            columns=writer.columns,
            timestamp=origin.timestamp,
            window_start=low,
            window_end=high,
            source=source,
            created_at=datetime.now(UTC),
            created_by=origin.run.actor if origin.run else origin.actor,
            file_digest=writer.file_digest,
            created_in=_name_of(origin.run),
            package_version=__version__,
        )
        write_document(staged / _MANIFEST, snapshot.to_dict())
        write_document(staged / _PROFILE, _profile(parquet, snapshot, writer).to_dict())
        storage.publish(staged, *parts)
    log.info("snapshot made: digest=%s n_rows=%d", snapshot.digest, snapshot.n_rows)
    return snapshot


def _fixed(known: DatasetSnapshot, parquet: Path, digest: str, storage: Storage) -> DatasetSnapshot:
    """Return a snapshot that is there; where its file was changed or is gone, the new one takes its place.

    :param parquet: the same rows, written anew.
    :param digest: of that file's bytes, which another version of the writing library may have made others.
    """
    try:
        check_snapshot(known)
    except IntegrityError as damage:
        log.warning("snapshot fixed: digest=%s damage=%s", known.digest, damage)
        parquet.replace(known.data_uri)
        known = dataclasses.replace(known, file_digest=digest)
        storage.write_json(known.to_dict(), *snapshot_folder(known.dataset, known.digest), _MANIFEST)
    return known


def _profile(parquet: Path, snapshot: DatasetSnapshot, writer: arrow.ParquetDigestWriter) -> DatasetProfile:
    columns = duckdb_engine.profile_columns(
        str(parquet), snapshot.columns, writer.sample, spreads=writer.spreads, is_ordered=writer.is_ordered
    )
    return DatasetProfile(snapshot_digest=snapshot.digest, n_rows=snapshot.n_rows, columns=columns)


def _accepted_until(storage: Storage, dataset: str, timestamp: str | None) -> datetime | None:
    mark = accepted_marks(storage, dataset).get(timestamp or "")
    return mark and mark[0]


def _no_row(data: DatasetSpec, window: Window, since: datetime | None, lineage: Mapping[str, Any]) -> NoRowsError:
    subject = f"The {lineage['n_files']} file(s) at {data.path!r} hold" if data.path else f"{data.subject} gave"
    if since is not None:
        return NothingNewError(
            f"{subject} no row that is later than {since.isoformat()}, the last one that a validation "
            f"accepted. Nothing was kept and the champion stays. That is well if nothing was to be delivered since; "
            f"if something was, check the delivery."
        )
    asked = "" if window.is_open else f" {window}"
    return NoRowsError(
        f"{subject} no row{asked}. Nothing was kept and the champion stays. Check the window and the delivery."
    )


def _read_if_there(storage: Storage, *folder: str) -> DatasetSnapshot | None:
    """Return the snapshot in a folder; ``None`` if there is none, or somebody prunes it while one looks."""
    try:
        return DatasetSnapshot.from_dict(storage.read_json(*folder, _MANIFEST))
    except IntegrityError:
        if storage.exists(*folder):
            raise
        return None


def _with_timestamp(snapshot: DatasetSnapshot, timestamp: str | None) -> DatasetSnapshot:
    """Return an earlier snapshot as it is seen now, which may be by another timestamp column."""
    if snapshot.timestamp == timestamp:
        return snapshot
    low, high = _time_range(Path(snapshot.data_uri), timestamp)
    return dataclasses.replace(snapshot, timestamp=timestamp, window_start=low, window_end=high)


def _time_range(parquet: Path, timestamp: str | None) -> tuple[datetime | None, datetime | None]:
    return duckdb_engine.time_range(str(parquet), timestamp) if timestamp else (None, None)


def _name_of(run: PipelineRun | None) -> str:
    return f"{run.pipeline} {run.run_id}" if run else ""
