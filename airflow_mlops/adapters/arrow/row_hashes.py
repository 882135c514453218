"""Arrow and pandas: a hash of each row, by which rows are drawn the same way wherever they stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_mlops.core.splitting.split import mix_bits

__all__ = ["row_hashes"]

_NULL = np.uint64(0x6E756C6C)
_EXACT = 2**53  # up to here a float64 holds every integer


def row_hashes(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """Hash the values of each row.

    Numbers count by their value, whatever their type: a column of integers in which a first value is missing comes
    back as floats, and its rows must not change sides for that.

    :returns: ``(n_rows,) uint64``, equal for equal rows, however they are batched or ordered.
    """
    total = np.zeros(batch.num_rows, dtype=np.uint64)
    for column in batch.columns:
        values = _bits(column)
        values[~column.is_valid().to_numpy(zero_copy_only=False)] = _NULL
        # Mixed column by column, so that equal values in other columns give another hash.
        total = mix_bits(total ^ mix_bits(values))
    return total


def _bits(column: pa.Array) -> NDArray[np.uint64]:
    """Return 64 bits that stand for each value; what they are for a null does not matter."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _bits(column.dictionary_decode())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind):
        column = column.view(pa.int32() if kind.bit_width == 32 else pa.int64())
        return _of_integers(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(kind):
        return _bits(column.cast(pa.int8()))
    if pa.types.is_integer(kind):
        return _of_numbers(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        floats = column.cast(pa.float64(), safe=False)
        return _of_floats(pc.fill_null(floats, 0.0).to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _of_texts(column.cast(pa.string()))
    return _hash_texts([repr(value) for value in column.to_pylist()])


def _of_integers(values: NDArray[np.integer]) -> NDArray[np.uint64]:
    wide = values.astype(np.int64 if values.dtype.kind == "i" else np.uint64)
    return wide.view(np.uint64)


def _of_floats(values: NDArray[np.floating]) -> NDArray[np.uint64]:
    return np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)  # + 0.0 makes a zero of -0.0


def _of_numbers(values: NDArray[np.integer]) -> NDArray[np.uint64]:
    # Not np.abs, which leaves the smallest integer negative.
    is_exact = (values <= _EXACT) & (values >= -_EXACT) if values.dtype.itemsize == 8 else np.True_
    return np.where(is_exact, _of_floats(values.astype(np.float64)), _of_integers(values))


def _of_texts(column: pa.Array) -> NDArray[np.uint64]:
    """Hash each distinct text of the batch once."""
    encoded = column.dictionary_encode()
    hashes = _hash_texts([*encoded.dictionary.to_pylist(), ""])  # the last one stands for nulls
    bits: NDArray[np.uint64] = hashes[pc.fill_null(encoded.indices, len(hashes) - 1).to_numpy(zero_copy_only=False)]
    return bits


def _hash_texts(texts: list[str]) -> NDArray[np.uint64]:
    hashes: NDArray[np.uint64] = pd.util.hash_array(np.array(texts, dtype=object), categorize=False)
    return hashes
