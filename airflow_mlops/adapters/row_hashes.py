"""Arrow and pandas: a hash of each row, by which rows are drawn the same way wherever they stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_mlops.core.split import mix_bits

__all__ = ["row_hashes"]

_NULL = np.uint64(0x6E756C6C)


def row_hashes(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """Hash the values of each row.

    :returns: ``(n_rows,) uint64``, equal for equal rows, however they are batched or ordered.
    """
    total = np.zeros(batch.num_rows, dtype=np.uint64)
    for column in batch.columns:
        values = _bits(column)
        values[~column.is_valid().to_numpy(zero_copy_only=False)] = _NULL
        total = mix_bits(total ^ mix_bits(values))
    return total


def _bits(column: pa.Array) -> NDArray[np.uint64]:
    """Return 64 bits that stand for each value; what they are for a null does not matter."""
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        column = column.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    if pa.types.is_integer(column.type):
        numbers = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        bits: NDArray[np.uint64] = numbers.astype(np.int64 if numbers.dtype.kind == "i" else np.uint64).view(np.uint64)
        return bits
    if pa.types.is_floating(kind):
        floats = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isnan(floats), np.nan, floats + 0.0).view(np.uint64)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    texts = column.to_pylist() if is_text else [repr(value) for value in column.to_pylist()]
    hashes: NDArray[np.uint64] = pd.util.hash_array(np.array([text or "" for text in texts], dtype=object))
    return hashes
