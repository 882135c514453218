"""Arrow: a Parquet file's rows in chunks that are read ahead, their ids, and the predictions for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_mlops.adapters.arrow.blocks import read_blocks
from airflow_mlops.adapters.arrow.reader import unreadable

__all__ = ["frame_of", "predicted_rows", "read_chunks", "row_ids", "table_of"]


def read_chunks(path: str, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.RecordBatch]:
    """Give a Parquet file's rows in chunks of at most so many; the next one is read while one is worked on.

    :raises IntegrityError: when the file is gone or damaged.
    """
    chunks = _chunks(path, columns, chunk_rows)
    try:
        with ThreadPoolExecutor(1, "read-ahead") as reading:
            following = reading.submit(next, chunks, None)
            while (chunk := following.result()) is not None:
                following = reading.submit(next, chunks, None)
                yield chunk
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def _chunks(path: str, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.RecordBatch]:
    """Join and cut row groups. Arrow's own ``iter_batches`` would keep all that it has read until the end."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for block in read_blocks(path, columns):
        waiting.append(block)
        n_waiting += block.num_rows
        if n_waiting < chunk_rows:
            continue
        rows = pa.concat_batches(waiting)
        n_whole = n_waiting - n_waiting % chunk_rows
        yield from (rows.slice(start, chunk_rows) for start in range(0, n_whole, chunk_rows))
        waiting, n_waiting = [rows.slice(n_whole)], n_waiting - n_whole
    if n_waiting:
        yield pa.concat_batches(waiting)


def frame_of(rows: pa.RecordBatch, columns: Sequence[str]) -> Any:
    """Return columns as a pandas data frame, as those that a model was trained on are."""
    return rows.select(list(columns)).to_pandas(date_as_object=False)


def table_of(rows: pa.RecordBatch, columns: Sequence[str]) -> pa.Table:
    """Return columns as an Arrow table."""
    return pa.Table.from_batches([rows.select(list(columns))])


def row_ids(rows: pa.RecordBatch, key: Sequence[str]) -> pa.Array:
    r"""Return a text for each row that tells it apart: its key, or the parts of it with ``/`` between them.

    A ``/`` or ``\`` in one of several parts is written as ``\/`` or ``\\``, so that no two keys have one text.
    """
    parts = [rows.column(name).cast(pa.string()) for name in key]
    if len(parts) == 1:
        return parts[0]
    parts = [pc.replace_substring_regex(part, r"([\\/])", r"\\\1") for part in parts]
    return pc.binary_join_element_wise(*parts, "/")


def predicted_rows(
    rows: pa.RecordBatch,
    names: Sequence[str],
    *,
    values: Any,
    scores: Any = None,
    model_version: int,
    model_digest: str,
    at: datetime,
) -> pa.RecordBatch:
    """Return what is written of a chunk: some of its columns, and the predictions with what they are by.

    :param names: of the columns that are kept: the key, and others.
    :param values: ``(n_rows,)``, what the model said.
    :param scores: ``(n_rows,) float64``; ``None`` where it gives none.
    """
    n_rows = rows.num_rows
    columns = {name: rows.column(name) for name in names} | {"prediction": pa.array(values)}
    if scores is not None:
        columns["score"] = pa.array(scores)
    columns["model_version"] = pa.repeat(pa.scalar(model_version, pa.int64()), n_rows)
    columns["model_digest"] = pa.repeat(pa.scalar(model_digest), n_rows)
    columns["predicted_at"] = pa.repeat(pa.scalar(at.astimezone(UTC), pa.timestamp("us", "UTC")), n_rows)
    return pa.RecordBatch.from_pydict(columns)
