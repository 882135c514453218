"""Split: the rows to learn from and those that are held back."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.adapters.row_hashes import row_hashes
from airflow_mlops.adapters.storage import Storage, write_document
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.split import DatasetPart, DatasetSplit, draw_rows
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import DataError
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.split import SplitSpec
from airflow_mlops.steps._platform import folder_name, short

__all__ = ["split_dataset"]

log = logging.getLogger(__name__)


def split_dataset(snapshot: DatasetSnapshot, data: DatasetSpec, split: SplitSpec, *, storage: Storage) -> DatasetSplit:
    """Make the rows to train on from a snapshot, and hold some of them back.

    :raises DataError: when the features can't be made, or a part would be empty.
    :raises IntegrityError: when the snapshot's rows are not those that it is named by.
    """
    key = digest_of([snapshot.digest, data.features, data.timestamp, split.model_dump(mode="json")])
    parts = ("splits", folder_name(snapshot.dataset), short(key))
    if storage.exists(*parts):
        return DatasetSplit.from_dict(storage.read_json(*parts, "split.json"))
    arrow.check_rows(snapshot.data_uri, snapshot.digest)
    with storage.staging(*parts[:-1]) as staged, duckdb_engine.feature_rows(snapshot.data_uri, data) as rows:
        is_test, cut = _held_back(snapshot, data, split)
        with (
            arrow.ParquetDigestWriter(staged / "train.parquet", rows.schema) as train,
            arrow.ParquetDigestWriter(staged / "test.parquet", rows.schema) as test,
        ):
            for training_rows, test_rows in arrow.mask_batches(rows, is_test):
                train.write(training_rows)
                test.write(test_rows)
        if not train.n_rows or not test.n_rows:
            raise DataError(
                f"The split by {split.method} with test_fraction {split.test_fraction} leaves {train.n_rows} rows to "
                f"train on and {test.n_rows} to evaluate. Both need some; nothing was trained."
            )
        folder = storage.path(*parts)
        result = DatasetSplit(
            snapshot_digest=snapshot.digest,
            method=split.method,
            cut=cut,
            columns=train.columns,
            timestamp=data.timestamp,
            train=DatasetPart(uri=str(folder / "train.parquet"), digest=train.digest, n_rows=train.n_rows),
            test=DatasetPart(uri=str(folder / "test.parquet"), digest=test.digest, n_rows=test.n_rows),
        )
        write_document(staged / "split.json", result.to_dict())
        storage.publish(staged, *parts)
    log.info("split made: method=%s n_train=%d n_test=%d cut=%s", split.method, train.n_rows, test.n_rows, cut)
    return result


def _held_back(snapshot: DatasetSnapshot, data: DatasetSpec, split: SplitSpec) -> tuple[Any, str | None]:
    """Return the function that tells a batch's held-back rows, and the cut if there is one."""
    if split.method == "random":

        def is_drawn(batch: pa.RecordBatch) -> Any:
            return draw_rows(row_hashes(batch), fraction=split.test_fraction, seed=split.seed)

        return is_drawn, None
    cut = duckdb_engine.time_cut(snapshot.data_uri, data, split.test_fraction)

    def is_test(batch: pa.RecordBatch) -> Any:
        column = batch.column(data.timestamp)
        return pc.fill_null(pc.greater_equal(column, pa.scalar(cut, column.type)), False)

    return is_test, cut.isoformat()
