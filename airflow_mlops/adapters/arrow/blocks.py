"""Arrow: a Parquet file's rows a block at a time, to be parted, sampled or staged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airflow_mlops.adapters.arrow._types import kept_batch, kept_schema

__all__ = ["After", "part_rows", "read_blocks", "sample_frame", "schema_of", "stage_rows"]

After = tuple[str, datetime]
"""A timestamp column and a time: the rows that are later."""

_MAX_BLOCK_ROWS = 131_072


def stage_rows(rows: pa.RecordBatchReader, path: Path) -> str:
    """Write rows to a Parquet file that more than one look is needed at, in the types of a snapshot's.

    :returns: its path.
    :raises DataError: when a value can't be kept.
    """
    schema = kept_schema(rows.schema)
    with pq.ParquetWriter(path, schema, compression="lz4", use_compliant_nested_type=False) as writer:
        for batch in rows:
            writer.write_batch(kept_batch(batch, schema))
    return str(path)


def schema_of(path: str) -> pa.Schema:
    """Return the columns of a Parquet file and their types."""
    return pq.read_schema(path)


def read_blocks(
    path: str, columns: Sequence[str] | None = None, *, after: After | None = None
) -> Iterator[pa.RecordBatch]:
    """Give a Parquet file's rows row group by row group, so that no more than one is held.

    :param columns: the ones to give, in this order; ``None``: all.
    """
    with pq.ParquetFile(path) as file:
        names = list(columns) if columns is not None else file.schema_arrow.names
        wanted = list(dict.fromkeys([*names, *([after[0]] if after else [])]))
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=wanted)
            rows = rows.filter(_is_later(rows.column(after[0]), after[1])) if after else rows
            yield from rows.select(names).combine_chunks().to_batches(_MAX_BLOCK_ROWS)


def _is_later(column: pa.ChunkedArray, moment: datetime) -> pa.ChunkedArray:
    """Compare microseconds; what nanoseconds a column has beside them, a time of Python's can't have."""
    return pc.greater(column.cast(pa.timestamp("us"), safe=False), pa.scalar(moment, pa.timestamp("us")))


def part_rows(
    path: str, sides_of: Callable[[pa.RecordBatch], NDArray[np.int8]]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Give the rows of each side, block by block, in their order.

    :param sides_of: tells the side of each of a block's rows.
    :returns: side and rows; no side without rows.
    """
    for block in read_blocks(path):
        sides = sides_of(block)
        for side in np.unique(sides):
            yield int(side), block.filter(pa.array(sides == side))


def sample_frame(path: str, columns: Sequence[str], max_rows: int, *, after: After | None = None) -> Any:
    """Read at most ``max_rows`` rows, drawn evenly over the file, as a pandas data frame.

    The draw depends on the file alone. It has no fixed step, which might meet a period of the data.
    """
    schema = pa.schema([schema_of(path).field(name) for name in columns])
    total = _n_rows(path, after)
    rng, n_drawn, seen = np.random.default_rng(total), min(max_rows, total), 0
    taken = []
    for block in read_blocks(path, columns, after=after):
        before, seen = seen, seen + block.num_rows
        n_wanted = n_drawn * seen // total - n_drawn * before // total  # all of them together are n_drawn
        drawn = np.sort(rng.choice(block.num_rows, size=n_wanted, replace=False))
        taken.append(block.take(pa.array(drawn)))
    return pa.Table.from_batches(taken, schema).to_pandas()


def _n_rows(path: str, after: After | None) -> int:
    if after is None:
        return int(pq.read_metadata(path).num_rows)
    return sum(block.num_rows for block in read_blocks(path, [after[0]], after=after))
