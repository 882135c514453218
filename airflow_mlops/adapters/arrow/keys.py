"""Arrow: whether a file lies in the order of its key."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_mlops.adapters.arrow.blocks import read_blocks, schema_of
from airflow_mlops.adapters.arrow.reader import unreadable

__all__ = ["is_ascending"]


def is_ascending(path: str, key: Sequence[str]) -> bool:
    """Say whether each row's key is greater than the one before, so that no two are equal.

    Reading stops at the first row of which that is not known: it is not greater, or holds null or NaN.

    :param key: the columns that make it, the first one first.
    :raises IntegrityError: when the file is gone or damaged.
    """
    try:
        schema = schema_of(path)
        if not all(_is_compared(schema.field(column).type) for column in key):
            return False
        last: list[pa.RecordBatch] = []
        for block in read_blocks(path, key):
            rows = pa.concat_batches([*last, block])
            if not _ascends(rows):
                return False
            last = [rows.slice(rows.num_rows - 1)]
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    return True


def _is_compared(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_date, pa.types.is_timestamp)
    return any(is_kind(kind) for is_kind in kinds)


def _ascends(rows: pa.RecordBatch) -> bool:
    """Compare each row with the next one, from the last column to the first; null is no answer, so it is a no."""
    n_pairs = max(rows.num_rows - 1, 0)
    greater = pa.repeat(pa.scalar(False), n_pairs)
    for column in reversed(rows.columns):
        before, after = column.slice(0, n_pairs), column.slice(1)
        greater = pc.or_(pc.greater(after, before), pc.and_(pc.equal(after, before), greater))
    return bool(pc.all(greater, skip_nulls=False, min_count=0).as_py())
