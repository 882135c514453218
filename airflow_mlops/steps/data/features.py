"""Features: the rows to train on, with what was known of them at their timestamp."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.adapters.duckdb_engine.joins.point_in_time import FeatureFile, rows_with_features
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.errors import SpecError
from airflow_mlops.specs.data import DatasetSpec, FeatureTable
from airflow_mlops.steps.data.settings import settings_at
from airflow_mlops.steps.data.snapshot import check_snapshot, snapshot_dataset
from airflow_mlops.steps.platform import folder_name

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_mlops.core.values import PipelineRun
    from airflow_mlops.steps.data.connections import Connections

__all__ = ["FeatureSource", "SnapshotFeatures", "feature_dataset", "feature_rows", "feature_source"]

log = logging.getLogger(__name__)


class FeatureSource(Protocol):
    """Where features come from that are joined to rows: tables in the storage, or a feature store."""

    @property
    def digests(self) -> Mapping[str, str]:
        """What the features are made from, by name: part of the identity of what is made with them."""

    def historical_features(
        self, rows: str, *, timestamp: str
    ) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
        """Stream the rows of a Parquet file, in their order, with the features of each added.

        A row has the latest values that were known at its timestamp, never a later one, and nulls where nothing was
        known yet. The rows are not held whole.

        :param rows: the path of the Parquet file.
        :param timestamp: the column that holds each row's time.
        """


@dataclass(frozen=True, kw_only=True)
class SnapshotFeatures:
    """Features from snapshots in the storage, joined by the engine.

    :param tables: the feature tables, in the order in which their columns are added.
    :param snapshots: each table's snapshot, by the table's name.
    """

    tables: tuple[FeatureTable, ...] = ()
    snapshots: Mapping[str, DatasetSnapshot] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each table's rows."""
        return {name: snapshot.digest for name, snapshot in self.snapshots.items()}

    @contextlib.contextmanager
    def historical_features(self, rows: str, *, timestamp: str) -> Iterator[pa.RecordBatchReader]:
        """Stream the rows with what was known at their timestamp.

        :raises DataError: when the tables can't be joined to the rows.
        :raises IntegrityError: when a table's snapshot is not what it was when it was made.
        """
        for snapshot in self.snapshots.values():
            check_snapshot(snapshot)
        files = [FeatureFile(table=table, parquet=self.snapshots[table.name].data_uri) for table in self.tables]
        with rows_with_features(rows, timestamp, files) as joined:
            yield joined


def feature_dataset(dataset: str, table: str) -> str:
    """Return the name that the snapshots of a dataset's feature table are kept under."""
    return f"{dataset}.{table}"


def feature_source(
    data: DatasetSpec,
    *,
    dataset: str,
    storage: Storage,
    connections: Connections | None = None,
    run: PipelineRun | None = None,
) -> SnapshotFeatures:
    """Copy each feature table into a snapshot of its own, so that what is joined is versioned.

    :param dataset: the name of the dataset; a table's snapshots are kept under ``<dataset>.<table>``.
    :param connections: opens the connections that the tables' sources name; ``None``: there are none.
    :param run: for whom the snapshots are made.
    :raises DataError: when a table has no row, or can't be read.
    :raises UnavailableError: when a source or the storage does not answer.
    """
    snapshots = {}
    for place, table in enumerate(data.feature_tables):
        with settings_at(f"data.feature_tables.{place}.source."):
            snapshots[table.name] = snapshot_dataset(
                table.source,
                dataset=feature_dataset(dataset, table.name),
                storage=storage,
                connections=connections,
                run=run,
            )
    return SnapshotFeatures(tables=data.feature_tables, snapshots=snapshots)


@contextlib.contextmanager
def feature_rows(
    snapshot: DatasetSnapshot, data: DatasetSpec, *, storage: Storage, source: FeatureSource | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Stream the rows to train on: the snapshot's, with features joined, through ``data.features``.

    Without a ``features`` query they come in the snapshot's order; of a query they come sorted.

    :param source: what is joined; see :func:`feature_source`. It is required where the spec has feature tables.
    :raises DataError: when the join or the query fails.
    :raises SpecError: when there is something to join, but no column that says when a row was true.
    """
    if source is None or not source.digests:
        if data.feature_tables:
            raise SpecError("data.feature_tables are given, but no source for them: call feature_source() first.")
        with duckdb_engine.feature_rows(snapshot.data_uri, data) as rows:
            yield rows
        return
    if not data.timestamp:
        raise SpecError("Features are joined as of a time: set data.timestamp, the column that holds it.")
    with source.historical_features(snapshot.data_uri, timestamp=data.timestamp) as joined:
        log.info("features joined: %s", " ".join(f"{name}={digest[:19]}" for name, digest in source.digests.items()))
        if data.features is None:
            yield joined
            return
        with storage.staging("splits", folder_name(snapshot.dataset)) as staged:
            # A query may look at its table more than once; a stream can be read only once.
            parquet = _on_file(joined, staged / "joined.parquet")
            with duckdb_engine.feature_rows(parquet, data) as rows:
                yield rows


def _on_file(rows: pa.RecordBatchReader, parquet: Path) -> str:
    with arrow.ParquetDigestWriter(parquet, rows.schema) as writer:
        for batch in rows:
            writer.write(batch)
    return str(parquet)
