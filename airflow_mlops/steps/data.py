"""Snapshots: the source's rows, copied once and never changed."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_mlops.adapters import arrow, duckdb_engine, files
from airflow_mlops.adapters.storage import Storage, write_document
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.profile import ColumnProfile, DatasetProfile, quantile_edges
from airflow_mlops.errors import DataError
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps._platform import folder_name, short

__all__ = ["load_profile", "load_snapshot", "snapshot_dataset"]

log = logging.getLogger(__name__)

_N_BINS = 10


def snapshot_dataset(data: DatasetSpec, *, dataset: str, storage: Storage, actor: str = "unknown") -> DatasetSnapshot:
    """Copy the source's rows into a Parquet file that is named by their digest.

    The rows are streamed. Rows that are there already make no second copy: the snapshot that holds them is
    returned as it is, with the source and the author that it had.

    :param dataset: the name that snapshots of the same source are kept under.
    :raises DataError: when there is nothing to read, it can't be read, or it changes while it is read.
    :raises UnavailableError: when the storage can't be written.
    """
    sources = files.source_files(data.path or "")
    before = _describe(sources)
    with storage.staging("snapshots", folder_name(dataset)) as staged:
        parquet = staged / "data.parquet"
        with (
            duckdb_engine.scan_source(data, sources) as rows,
            arrow.ParquetDigestWriter(parquet, rows.schema) as writer,
        ):
            for batch in rows:
                writer.write(batch)
        if _describe(sources) != before:
            raise DataError(f"The files at {data.path!r} changed while they were read. Nothing was kept; run again.")
        if writer.n_rows == 0:
            window = f" between {data.window_start or 'the beginning'} and {data.window_end or 'the end'}"
            raise DataError(
                f"{len(sources)} file(s) at {data.path!r} hold no row"
                f"{window if data.window_start or data.window_end else ''}. Nothing was kept and the champion stays. "
                f"Check the window and the delivery."
            )
        parts = ("snapshots", folder_name(dataset), short(writer.digest))
        if storage.exists(*parts):
            snapshot = _with_timestamp(load_snapshot(storage, dataset, writer.digest), data)
            log.info("snapshot unchanged: digest=%s n_rows=%d", snapshot.digest, snapshot.n_rows)
            return snapshot
        low, high = duckdb_engine.time_range(str(parquet), data.timestamp) if data.timestamp else (None, None)
        snapshot = DatasetSnapshot(
            dataset=dataset,
            uri=str(storage.path(*parts)),
            digest=writer.digest,
            n_rows=writer.n_rows,
            columns=writer.columns,
            timestamp=data.timestamp,
            window_start=low,
            window_end=high,
            source={"path": data.path, "n_files": len(sources), "files": before[:100]},
            created_at=datetime.now(UTC),
            created_by=actor,
        )
        write_document(staged / "manifest.json", snapshot.to_dict())
        write_document(staged / "profile.json", _profile(parquet, snapshot).to_dict())
        storage.publish(staged, *parts)
    log.info("snapshot made: digest=%s n_rows=%d n_files=%d", snapshot.digest, snapshot.n_rows, len(sources))
    return snapshot


def _with_timestamp(snapshot: DatasetSnapshot, data: DatasetSpec) -> DatasetSnapshot:
    """Return an earlier snapshot as it is seen now, which may be by another timestamp column."""
    if snapshot.timestamp == data.timestamp:
        return snapshot
    low, high = duckdb_engine.time_range(snapshot.data_uri, data.timestamp) if data.timestamp else (None, None)
    return dataclasses.replace(snapshot, timestamp=data.timestamp, window_start=low, window_end=high)


def load_snapshot(storage: Storage, dataset: str, digest: str) -> DatasetSnapshot:
    """Return the snapshot with this digest.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetSnapshot.from_dict(
        storage.read_json("snapshots", folder_name(dataset), short(digest), "manifest.json")
    )


def load_profile(storage: Storage, dataset: str, digest: str) -> DatasetProfile:
    """Return the profile that was counted when the snapshot was made.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetProfile.from_dict(storage.read_json("snapshots", folder_name(dataset), short(digest), "profile.json"))


def _profile(parquet: Path, snapshot: DatasetSnapshot) -> DatasetProfile:
    bins = []
    for column in snapshot.columns:
        if column.name == snapshot.timestamp or not arrow.has_profile(column.type):
            continue
        edges = None
        if arrow.is_numeric(column.type):
            found = duckdb_engine.quantiles(str(parquet), column.name, _N_BINS)
            edges = quantile_edges(found) if found else ()
        bins.append(ColumnProfile(name=column.name, edges=edges))
    n_rows, columns = arrow.count_columns(str(parquet), bins)
    return DatasetProfile(snapshot_digest=snapshot.digest, n_rows=n_rows, columns=columns)


def _describe(sources: list[Path]) -> list[dict[str, Any]]:
    return [{"name": f.name, "size": f.stat().st_size, "modified_ns": f.stat().st_mtime_ns} for f in sources]
