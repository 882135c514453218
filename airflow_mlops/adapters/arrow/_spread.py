"""Arrow: means and standard deviations of the numbers in a stream."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_mlops.core.data.profile import Spread

__all__ = ["NumberSpreads"]


class NumberSpreads:
    """Adds up the finite values of numeric columns, block by block, while the blocks are at hand.

    Blocks are joined by the formula of Chan, Golub and LeVeque (1979, equation 2.1), which loses no digits where
    numbers lie close together and far from zero.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._found = {column.name: (0, 0.0, 0.0) for column in schema if _is_number(column.type)}

    def add(self, rows: pa.Table) -> None:
        """Take the next rows."""
        for column, known in self._found.items():
            values = _numbers(rows.column(column))
            with np.errstate(over="ignore", invalid="ignore"):
                self._found[column] = _joined(known, values)

    @property
    def spreads(self) -> dict[str, Spread]:
        """What was found of each column; ``None`` where there are no finite values, or their sums are too large."""
        return {column: _spread(*found) for column, found in self._found.items()}


def _joined(known: tuple[int, float, float], values: NDArray[np.float64]) -> tuple[int, float, float]:
    """Return number, mean and sum of squared distances from it, with some more values.

    >>> _joined((1, 1.0, 0.0), np.array([3.0, np.nan]))
    (2, 2.0, 2.0)
    """
    n, mean, squares = known
    centre = float(values.mean()) if len(values) else 0.0
    if not math.isfinite(centre):  # there may be NaN or an infinity, which are dear to look for
        values = values[np.isfinite(values)]
        centre = float(values.mean()) if len(values) else 0.0
    if not len(values):
        return known
    centred = values - centre
    more, total = len(values), n + len(values)
    step = np.float64(centre - mean)
    squares += float(np.square(centred, out=centred).sum()) + float(step * step) * (n * more / total)
    return total, mean + float(step) * (more / total), squares


def _spread(n: int, mean: float, squares: float) -> Spread:
    variance = squares / n if n else math.nan
    return Spread(
        mean=mean if n and math.isfinite(mean) else None, std=math.sqrt(variance) if math.isfinite(variance) else None
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the values that are not null, without the pandas that ``to_numpy`` would import."""
    values = column.combine_chunks().drop_null().cast(pa.float64(), safe=False)
    if not len(values):
        return np.empty(0)
    return np.frombuffer(values.buffers()[1], dtype=np.float64, count=len(values), offset=8 * values.offset)
