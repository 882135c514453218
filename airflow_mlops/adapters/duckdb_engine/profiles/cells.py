"""DuckDB: counts numbers by cells of equal width."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Cells", "number_literal"]

_SMALL = 30_000
_TINY = 255


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of equal width, each with a number: a row is counted by the one that it lies in.

    That is several times as fast as comparing it with edges. What is null, NaN or infinite lies in no cell.

    :param start: number of the cell that the smallest value lies in, counted from zero.
    :param n_cells: how many there are. The engine counts a few in an array, and the fewer, the faster.
    """

    exponent: int
    start: int
    n_cells: int

    @classmethod
    def between(cls, low: float, high: float, exponent: int) -> Cells:
        """Return the cells of width ``2**-exponent`` that cover the values from ``low`` to ``high``."""
        n_cells = math.ceil((high - low) * math.ldexp(1.0, exponent)) + 1
        return cls(exponent=exponent, start=math.floor(math.ldexp(low, exponent)), n_cells=n_cells)

    @property
    def is_small(self) -> bool:
        """Whether the number of a cell fits into two bytes."""
        return self.n_cells <= _SMALL

    def key(self, value: str) -> str:
        """Return SQL of the cell that a value lies in."""
        place = f"floor({value} * {number_literal(math.ldexp(1.0, self.exponent))}) - ({self.start})"
        kind = "UTINYINT" if self.n_cells <= _TINY else "SMALLINT" if self.is_small else "INTEGER"
        return f"TRY_CAST({place} AS {kind})"

    def smallest(self, cell: float) -> float:
        """Return the smallest value that lies in a cell."""
        return math.ldexp(self.start + cell, -self.exponent)

    def cell_of(self, value: float) -> int:
        """Return the cell that a value lies in."""
        return math.floor(math.ldexp(value, self.exponent)) - self.start


def number_literal(value: float) -> str:
    """Write a number so that it does not lose a digit or become a decimal."""
    return f"'{value!r}'::DOUBLE"
