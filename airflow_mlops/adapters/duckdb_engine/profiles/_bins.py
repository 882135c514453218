"""DuckDB: counts a numeric column in bins that are given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from airflow_mlops.adapters.duckdb_engine._engine import name
from airflow_mlops.adapters.duckdb_engine.profiles._scan import Groups, Question
from airflow_mlops.adapters.duckdb_engine.profiles.cells import Cells, number_literal
from airflow_mlops.core.data.bins import SPECIAL_BINS, common_exponent
from airflow_mlops.core.data.profile import ColumnProfile, bin_labels

__all__ = ["BinCounter"]

_MAX_CELLS = 30_000


@dataclass(frozen=True, kw_only=True)
class BinCounter:
    """Counts a column by cells where its edges lie on their borders, and by comparing with each edge where not.

    Only the outer edges, the extremes of the reference, may lie within a cell: what is outside of them in their cells
    is counted apart.

    :param cells: ``None``: there are none.
    """

    column: str
    edges: tuple[float, ...]
    cells: Cells | None

    @classmethod
    def of(cls, column: ColumnProfile) -> BinCounter:
        """Return the counter of a column that has edges."""
        edges = column.edges or ()
        exponent = common_exponent(edges, _MAX_CELLS)
        cells = None if exponent is None else Cells.between(edges[0], edges[-1], exponent)
        return cls(column=column.name, edges=edges, cells=cells)

    @property
    def _value(self) -> str:
        return f"{name(self.column)}::DOUBLE"

    def question(self) -> Question:
        """Return what all rows are asked."""
        if self.cells:
            return Question(key=self.cells.key(self._value))
        return Question(key=self._compared(0, len(self.edges)), where=f"isfinite({self._value})")

    def _compared(self, low: int, high: int) -> str:
        """Return SQL of the bin that a value lies in, by bisection: 0 is below all of them."""
        if not self.edges:
            return "1"
        if low == high:
            return str(low)
        middle = (low + high) // 2
        sign = "<=" if middle == len(self.edges) - 1 else "<"
        split = f"{self._value} {sign} {number_literal(self.edges[middle])}"
        return f"CASE WHEN {split} THEN {self._compared(low, middle)} ELSE {self._compared(middle + 1, high)} END"

    def outer_questions(self) -> dict[str, Question]:
        """Return how many rows lie in the outer cells and outside of the outer edges."""
        if not self.cells:
            return {}
        value, low, high = self._value, self.edges[0], self.edges[-1]
        first, after = self.cells.smallest(0), self.cells.smallest(self.cells.cell_of(high) + 1)
        below = f"{value} >= {number_literal(first)} AND {value} < {number_literal(low)}"
        above = f"{value} > {number_literal(high)} AND {value} < {number_literal(after)}"
        return {"below": Question(key="0", where=below), "above": Question(key="0", where=above)}

    def odd(self) -> dict[str, str]:
        """Return SQL of how many rows lie in no cell, or far from all bins, by special bin."""
        value, low, high = self._value, number_literal(-math.inf), number_literal(math.inf)
        conditions = {"nan": f"isnan({value})", "-inf": f"{value} = {low}", "+inf": f"{value} = {high}"}
        if self.edges:
            conditions["below"] = f"{value} > {low} AND {value} < {number_literal(self.edges[0])}"
            conditions["above"] = f"{value} < {high} AND {value} > {number_literal(self.edges[-1])}"
        return {bin_name: f"count(*) FILTER (WHERE {each})" for bin_name, each in conditions.items()}

    def profile(self, groups: Groups, *, below: int, above: int, special: Mapping[str, int]) -> ColumnProfile:
        """Return the counts by bin.

        :param groups: the answer to :meth:`question`.
        :param below: the first answer to :meth:`outer_questions`.
        :param above: the second one.
        :param special: rows by special bin, as far as they are known.
        """
        labels = bin_labels(self.edges)
        # Below, the bins, above. What lies outside of the outer edges but in their cells was counted into the outer
        # bins, and is moved out of them.
        places = np.zeros(len(labels) + 2, dtype=np.int64)
        for key, n_rows, _ in groups:
            if key is not None:
                places[self._place(int(key))] += n_rows
        places[:2] += (below, -below) if labels else (0, 0)
        places[-2:] += (-above, above)
        counts = dict.fromkeys(SPECIAL_BINS, 0) | {"below": int(places[0]), "above": int(places[-1]), **special}
        counts |= dict(zip(labels, places[1:-1].tolist(), strict=True))
        return ColumnProfile(name=self.column, edges=self.edges, counts=counts)

    def _place(self, key: int) -> int:
        """Return the bin of a cell, counted from 1: 0 is below, and the last one is above."""
        if not self.cells:
            return key
        if key < 0:
            return 0
        if key > self.cells.cell_of(self.edges[-1]):
            return len(self.edges)
        place = int(np.searchsorted(self.edges, self.cells.smallest(key), side="right"))
        return min(max(place, 1), len(self.edges) - 1)
