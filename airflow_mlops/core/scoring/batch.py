"""Batch predictions: whether rows fit a model, and what came of scoring them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_mlops.core.data.profile import is_moment, is_numeric
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.values import Value
from airflow_mlops.errors import DataError, NoRowsError, bounded_lines, did_you_mean
from airflow_mlops.specs.predict import PredictionSpec

__all__ = ["PredictionBatch", "check_columns"]

_READS = {
    "boolean": "numbers",
    "integer": "numbers",
    "long": "numbers",
    "float": "numbers",
    "double": "numbers",
    "string": "text",
    "datetime": "times",
}
"""What a model reads, by the types of MLflow's signatures."""


@dataclass(frozen=True, kw_only=True)
class PredictionBatch(Value):
    """Predictions for the rows of a snapshot, all by one version.

    :param snapshot_digest: of the rows that were scored.
    :param uri: folder that holds ``data.parquet`` and ``batch.json``.
    :param digest: of the predictions in their order, columns and types; see
        :class:`~airflow_mlops.adapters.arrow.RowDigest`.
    :param columns: of the predictions' file.
    :param n_logged: rows that the inference log got.
    :param started_at: when the try began that made it, which each row has as ``predicted_at``.
    """

    model_name: str
    model_version: int
    model_digest: str
    snapshot_digest: str
    uri: str
    digest: str
    n_rows: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    n_logged: int = 0
    started_at: datetime
    ended_at: datetime
    report_uri: str = ""

    @property
    def data_uri(self) -> str:
        """The Parquet file with the predictions."""
        return f"{self.uri}/data.parquet"


def check_columns(reads: Mapping[str, str], snapshot: DatasetSnapshot, prediction: PredictionSpec) -> tuple[str, ...]:
    """See that rows have what is read of them, before the first one is scored.

    A number may be of any width, a whole one or not; a column without a value may be of any type.

    :param reads: the model's columns with their types in MLflow's signature. Types that it has no word for are not
        compared.
    :returns: the columns that nothing is done with.
    :raises NoRowsError: when there is no row.
    :raises DataError: when a column is missing or of another type, or a key is null.
    """
    if not snapshot.n_rows:
        raise NoRowsError(
            f"The snapshot {snapshot.digest[:19]}… has no row to score. Nothing was written. Check the delivery."
        )
    present = {column.name: column for column in snapshot.columns}
    wanted = [*prediction.key, *prediction.keep, *reads]
    problems = [
        f"column {name!r} is missing.{did_you_mean(name, present)}"
        for name in dict.fromkeys(wanted)
        if name not in present
    ]
    for name, kind in reads.items():
        found, needed = _kind_of(present[name], snapshot) if name in present else None, _READS.get(kind)
        if found and needed and found != needed:
            problems.append(f"column {name!r} holds {found} ({present[name].type}); the model reads {needed} ({kind}).")
    for column in (present[name] for name in prediction.key if name in present):
        if column.n_null:
            problems.append(f"key column {column.name!r} is null in {column.n_null} of {snapshot.n_rows} rows.")
        elif _kind_of(column, snapshot) not in _READS.values():
            problems.append(f"key column {column.name!r} is {column.type}; numbers, text or times are required.")
    if problems:
        raise DataError(
            f"The rows can't be scored by {prediction.model_name}: {len(problems)} thing(s) do not fit.\n"
            f"{bounded_lines(problems)}\nNothing was scored or written. Fix the data, or make the columns in "
            f"data.features."
        )
    return tuple(name for name in present if name not in wanted)


def _kind_of(column: Column, snapshot: DatasetSnapshot) -> str | None:
    """Return what a column holds; ``None`` where it has no value."""
    if column.n_null == snapshot.n_rows:
        return None
    if is_numeric(column.type) or column.type == "bool":
        return "numbers"
    if is_moment(column.type):
        return "times"
    return "text" if column.type == "string" else column.type
