"""Arrow: reads a Parquet file's rows a block at a time, to be staged, parted or sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["moments", "n_null", "part_rows", "read_blocks", "sample_rows", "schema_of", "stage_rows", "texts"]

_MAX_BLOCK_ROWS = 131_072


def stage_rows(rows: pa.RecordBatchReader, path: Path) -> str:
    """Write rows to a Parquet file that more than one look is needed at, and return its path."""
    with pq.ParquetWriter(path, rows.schema, compression="lz4", use_compliant_nested_type=False) as writer:
        for batch in rows:
            writer.write_batch(batch)
    return str(path)


def schema_of(path: str) -> pa.Schema:
    """Return the columns of a Parquet file and their types."""
    return pq.read_schema(path)


def read_blocks(path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Give a Parquet file's rows row group by row group, so that no more than one is held."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(columns) if columns is not None else None)
            yield from table.combine_chunks().to_batches(_MAX_BLOCK_ROWS)


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


def moments(column: pa.Array, unit: str) -> NDArray[np.int64]:
    """Return dates or timestamps as counts of a unit since 1970 in UTC.

    :param unit: ``us`` or ``ns``.
    :returns: ``(n_rows,) int64``.
    """
    zone = getattr(column.type, "tz", None)
    counted: NDArray[np.int64] = column.cast(pa.timestamp(unit, tz=zone)).cast(pa.int64()).to_numpy()
    return counted


def texts(column: pa.Array) -> tuple[list[str], NDArray[np.int64]]:
    """Return a block's distinct values as text, and which of them each row has; a missing one is ``null``."""
    missing = pc.is_null(column, nan_is_null=True)
    encoded = pc.if_else(missing, "null", column.cast(pa.string())).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def n_null(block: pa.RecordBatch, column: str) -> int:
    """Return how many values are missing: null or NaN."""
    return int(pc.sum(pc.is_null(block.column(column), nan_is_null=True)).as_py() or 0)


def sample_rows(path: str, columns: Sequence[str], max_rows: int) -> Any:
    """Read at most about ``max_rows`` rows, drawn evenly over the file, as a pandas data frame.

    The draw depends on the file alone. It has no fixed step, which might meet a period of the data.
    """
    total = pq.read_metadata(path).num_rows
    rng = np.random.default_rng(total)
    taken = []
    for block in read_blocks(path, columns):
        n_wanted = min(block.num_rows, -(-block.num_rows * max_rows // total))
        drawn = np.sort(rng.choice(block.num_rows, size=n_wanted, replace=False))
        taken.append(block.take(pa.array(drawn)))
    return pa.Table.from_batches(taken).select(list(columns)).to_pandas()
