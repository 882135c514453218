"""The inference log's files: Parquet, by day, each of them whole or not there."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.core.scoring.inference_log import InferenceColumn, Role, partition_of
from airflow_mlops.errors import UnavailableError

__all__ = ["InferenceLog", "log_table"]

_TYPES = {
    InferenceColumn.ID: pa.string(),
    InferenceColumn.REQUEST_ID: pa.string(),
    InferenceColumn.AT: pa.timestamp("us", "UTC"),
    InferenceColumn.MODEL_VERSION: pa.int64(),
    InferenceColumn.MODEL_DIGEST: pa.string(),
    InferenceColumn.ROLE: pa.string(),
    InferenceColumn.PREDICTION: None,  # the model's own
    InferenceColumn.SCORE: pa.float64(),
    InferenceColumn.LATENCY_MS: pa.float64(),
    InferenceColumn.ERROR: pa.string(),
}


def log_table(
    features: pa.Table,
    *,
    ids: Sequence[str] | pa.Array | pa.ChunkedArray,
    request_id: str | Sequence[str],
    at: datetime | Sequence[datetime],
    model_version: int,
    model_digest: str,
    role: Role,
    predictions: Any = None,
    scores: Any = None,
    latency_ms: float | Sequence[float | None] | None = None,
    error: str | Sequence[str] | None = None,
    redact: Sequence[str] = (),
) -> pa.Table:
    """Return rows of the log: its own columns, then the features. What may be a sequence is one value for each row.

    A text that is said of all rows is held once, as a dictionary.

    :param features: ``(n_rows, n_features)``.
    :param ids: ``(n_rows,)``.
    :param predictions: ``(n_rows,)``; ``None`` where the model failed.
    :param scores: ``(n_rows,)``, ``None`` where the model gives none.
    :param redact: features whose values are not kept.
    """
    own: Mapping[InferenceColumn, Any] = {
        InferenceColumn.ID: ids,
        InferenceColumn.REQUEST_ID: request_id,
        InferenceColumn.AT: at.astimezone(UTC) if isinstance(at, datetime) else at,
        InferenceColumn.MODEL_VERSION: model_version,
        InferenceColumn.MODEL_DIGEST: model_digest,
        InferenceColumn.ROLE: role.value,
        InferenceColumn.PREDICTION: predictions,
        InferenceColumn.SCORE: scores,
        InferenceColumn.LATENCY_MS: latency_ms,
        InferenceColumn.ERROR: error,
    }
    n_rows = features.num_rows
    columns = {name.value: _column(value, _TYPES[name], n_rows) for name, value in own.items()}
    for name in features.column_names:
        kept = features.column(name)
        columns[name] = pa.nulls(n_rows, kept.type) if name in redact else kept
    return pa.table(columns)


def _column(value: Any, kind: pa.DataType | None, n_rows: int) -> pa.Array | pa.ChunkedArray:
    if value is None:
        return pa.nulls(n_rows, kind or pa.null())
    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), n_rows), pa.array([value], kind))
    if isinstance(value, int | float | datetime):
        return pa.repeat(pa.scalar(value, kind), n_rows)
    found = value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value)
    return found if kind is None or found.type == kind else found.cast(kind)


class InferenceLog:
    """A model's log below a folder: ``date=2026-01-31/<writer>-000001.parquet``.

    :param folder: of this model's log; it is made when the first rows come.
    :param writer: tells processes apart that write at the same time; by default a name that nobody else has.
    """

    def __init__(self, folder: Path, *, writer: str | None = None) -> None:
        self.folder = folder
        self.writer = writer or uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)

    def write(self, table: pa.Table, *, at: datetime) -> Path:
        """Add rows as a file of the day that they were scored on, and return its path.

        The file of a writer that was given a name and writes it again, as a retry does, replaces the first one.

        :raises UnavailableError: when the storage can't be written.
        """
        name = f"{self.writer}-{next(self._numbers):06d}.parquet"
        path = self.folder / partition_of(at.astimezone(UTC).date()) / name
        staged = path.with_name(f".{name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(table, staged)
            os.replace(staged, path)
        except OSError as error:
            raise _unavailable(path, error) from error
        finally:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)
        return path

    def adopt(self, other: Path) -> int:
        """Move the files of another log into this one, and return how many were left to be moved.

        Both are in one file system, and each file is moved as a whole: whoever is interrupted here goes on later. By
        its time a file was written when it was moved.

        :param other: the other log's folder, which need not be there.
        :raises UnavailableError: when the storage can't be written.
        """
        files = sorted(other.glob("date=*/*.parquet"))
        for file in files:
            path = self.folder / file.relative_to(other)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.utime(file)  # whoever counts what is newer than its last check has not seen it before now
                os.replace(file, path)
            except FileNotFoundError:
                continue  # another try moved it
            except OSError as error:
                raise _unavailable(path, error) from error
        return len(files)

    def trim(self, max_bytes: int) -> list[str]:
        """Remove the oldest files until the log is no larger than this, and return which; the newest file stays."""
        files = sorted(((file, file.stat()) for file in self.folder.glob("date=*/*.parquet")), key=_age)
        total = sum(stat.st_size for _, stat in files)
        removed = []
        for file, stat in files[:-1]:
            if total <= max_bytes:
                break
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the day has other files
                file.parent.rmdir()
            total -= stat.st_size
            removed.append(file.relative_to(self.folder).as_posix())
        return removed


def _write(table: pa.Table, path: Path) -> None:
    """Write a table by what its columns are like.

    Bytes at the same place of floats are alike, so put side by side they take less time and room. Nobody asks for the
    extremes of texts, which are dear to find.
    """
    kept = _kept_schema(table.schema)
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        use_dictionary=_repeating(kept),
        use_byte_stream_split=[column.name for column in kept if column.type in (pa.float32(), pa.float64())],
        write_statistics=[column.name for column in kept if not pa.types.is_string(column.type)],
        store_schema=False,
    ) as writer:
        writer.write_table(table)
        # Arrow's own note of the types: what was held as a dictionary is read as the text that it is.
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(kept.serialize()).decode()})


def _kept_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema in which the log's own columns have the types that they have in all files."""
    own = {name.value: kind for name, kind in _TYPES.items() if kind is not None}
    return pa.schema([column.with_type(own.get(column.name, column.type)) for column in schema])


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns whose values repeat. For the others a dictionary takes three times as long, and more room."""
    return [
        column.name for column in schema if column.name != InferenceColumn.ID and not pa.types.is_floating(column.type)
    ]


def _unavailable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The inference log at {path} can't be written: {error.strerror or error}. Check [mlops] storage_root, "
        f"its permissions and its free space."
    )


def _age(found: tuple[Path, os.stat_result]) -> tuple[str, int, str]:
    file, stat = found
    return file.parent.name, stat.st_mtime_ns, file.name
