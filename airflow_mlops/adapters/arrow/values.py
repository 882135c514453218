"""Arrow: what a block's columns hold, in numpy's types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_mlops.errors import DataError

__all__ = ["moments", "n_null", "numbers", "texts", "values_of"]


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


def values_of(column: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return a column's distinct values, and which of them each row has; -1 for a missing one.

    For class labels, which are few however many rows there are.
    """
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.dictionary.to_pylist()), pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy()


def numbers(column: pa.ChunkedArray, subject: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN for a missing one.

    :param subject: what the column is called in messages, such as ``The labels: 'paid'``.
    :returns: ``(n_rows,) float64``.
    :raises DataError: when it holds something else.
    """
    try:
        found: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise DataError(
            f"{subject} is of type {column.type}, numbers are required: {str(error).rstrip('.')}. Nothing was decided. "
            f"Cast it where it comes from."
        ) from error
    return found
