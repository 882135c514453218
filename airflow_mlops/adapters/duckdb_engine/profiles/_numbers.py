"""DuckDB: counts numeric columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_mlops.adapters.duckdb_engine._engine import name
from airflow_mlops.adapters.duckdb_engine.profiles._scan import Groups, Question, Scan
from airflow_mlops.adapters.duckdb_engine.profiles.cells import Cells, number_literal
from airflow_mlops.core.data.bins import BinPlan, bin_counts, outer_edges, plan_bins
from airflow_mlops.core.data.profile import N_TOP_VALUES, ColumnProfile, quantiles_of
from airflow_mlops.core.data.snapshot import Column

__all__ = ["NumberCounter"]

_MAX_CELLS = 1_000_000
_MAX_TOP_OF = 1_000
_EXACT = 2.0**52
_ENOUGH = 8_192  # values that quantiles are chosen from, as sorting takes its time

_Bins = list[tuple[float, int]]
"""The smallest value that some rows may have, and their number."""


class NumberCounter:
    """Counts numeric columns in bins that a sample suggests.

    :param extremes: the smallest and the largest value of each column; NaN may be left out of them or not.
    """

    def __init__(self, scan: Scan, extremes: Mapping[str, tuple[Any, Any]]) -> None:
        self._scan, self._extremes = scan, dict(extremes)
        self._plans: dict[str, BinPlan] = {}

    def question(self, column: Column) -> Question | None:
        """Return what is to be asked of a column; ``None`` where it has no finite value, or one by one is too slow."""
        bounds, plan = self._finite_extremes(column.name), self._plan(column.name)
        if bounds is None:
            return None
        # From the cheapest way to count on: by value where the sample has few, by cells of equal width, or later by
        # comparing with each edge.
        value = f"{name(column.name)}::DOUBLE"
        if plan.is_by_value:
            return Question(key=value)
        cells = _cells(plan, *bounds)
        if cells is None:
            return None
        counts_distinct = cells.is_small and _is_whole(column)
        return Question(
            key=cells.key(value),
            where=f"{name(column.name)} IS NOT NULL" if column.n_null else "",  # the engine is faster without them
            distinct=name(column.name) if counts_distinct else "",
        )

    def has_unknown_distinct(self, column: Column) -> bool:
        """Return whether the number of different values is of use, and no answer to :meth:`question`."""
        if not _is_whole(column) or self._plan(column.name).is_by_value:
            return False
        question = self.question(column)
        return question is None or not question.distinct

    def profile(self, profile: ColumnProfile, groups: Groups | None, n_null: int, n_rows: int) -> ColumnProfile:
        """Return the profile with what the column's numbers are.

        :param groups: the answer to :meth:`question`.
        """
        special = {"null": n_null}
        bounds = self._finite_extremes(profile.name)
        if bounds is None:
            odd = self._odd(profile.name, n_rows - n_null)
            return replace(profile, edges=(), counts=bin_counts((), ()) | special | odd, n_distinct=0)
        # Everything that is counted is of finite values; what is left of the rows is NaN, infinite or null.
        low, high = bounds
        plan = self._plan(profile.name)
        bins = self._bins(profile.name, plan, low, high, groups)
        edges = outer_edges(plan.edges, low, high)
        n_finite = sum(n for _, n in bins)
        return replace(
            profile,
            edges=edges,
            counts=bin_counts(edges, bins) | special | self._odd(profile.name, n_rows - n_null - n_finite),
            n_distinct=_n_distinct(plan, groups, bins) if profile.n_distinct is None else profile.n_distinct,
            minimum=low,
            maximum=high,
            top_values=_top_values(bins) if plan.is_by_value else (),
            quantiles=self._quantiles(profile.name, groups, bins, low, high),
        )

    def _quantiles(
        self, column: str, groups: Groups | None, bins: _Bins, low: float, high: float
    ) -> tuple[tuple[float, float], ...]:
        """Take them from the cells, or from the sample where the bins are all that was counted."""
        found = sorted(bins)
        if groups is None:
            values = _numbers(self._scan.sample.column(column))
            found = [(float(value), 1) for value in np.sort(values[np.isfinite(values)])]
        return tuple((share, min(max(value, low), high)) for share, value in quantiles_of(found))

    def _bins(self, column: str, plan: BinPlan, low: float, high: float, groups: Groups | None) -> _Bins:
        if groups is None:
            return self._count_between(column, plan, low)
        present = [(key, n) for key, n, _ in groups if key is not None and math.isfinite(key)]
        cells = None if plan.is_by_value else _cells(plan, low, high)
        return sorted(present) if cells is None else [(cells.smallest(key), n) for key, n in present]

    def _plan(self, column: str) -> BinPlan:
        if column not in self._plans:
            values = _numbers(self._scan.sample.column(column))
            # Every n-th value of the sample, not the first ones: it is spread over the file, as the file may be sorted.
            self._plans[column] = plan_bins(values[:: max(1, len(values) // _ENOUGH)])
        return self._plans[column]

    def _finite_extremes(self, column: str) -> tuple[float, float] | None:
        low, high = self._extremes[column]
        # The file's statistics have infinities among the extremes: then the finite ones are asked of the rows.
        if low is not None and not (math.isfinite(low) and math.isfinite(high)):
            value = f"{name(column)}::DOUBLE"
            low, high = self._scan.row([f"{of}({value}) FILTER (WHERE isfinite({value}))" for of in ("min", "max")])
            self._extremes[column] = low, high
        return None if low is None else (float(low) + 0.0, float(high) + 0.0)

    def _odd(self, column: str, n_odd: int) -> dict[str, int]:
        """Count NaN and the infinities, if there are any."""
        if not n_odd:
            return {}
        value = f"{name(column)}::DOUBLE"
        low, high = self._scan.row([f"count(*) FILTER (WHERE {value} = '{sign}inf'::DOUBLE)" for sign in ("-", "+")])
        return {"-inf": low, "+inf": high, "nan": n_odd - low - high}

    def _count_between(self, column: str, plan: BinPlan, low: float) -> _Bins:
        """Count rows by comparing them with the edges, where values are spread too far for cells."""
        value, edges = f"{name(column)}::DOUBLE", plan.edges
        # The engine's histogram includes the upper limit, the bins exclude it: the number just below is asked for.
        uppers = [*(math.nextafter(edge, -math.inf) for edge in edges), math.nextafter(math.inf, 0)]
        limits = ", ".join(map(number_literal, uppers))
        # NaN has to be left out by a filter: it would land in the first bin.
        (histogram,) = self._scan.row([f"histogram({value}, [{limits}]) FILTER (WHERE isfinite({value}))"])
        return [(start, histogram.get(upper, 0)) for start, upper in zip((low, *edges), uppers, strict=True)]


def _cells(plan: BinPlan, low: float, high: float) -> Cells | None:
    """Return the cells that a column can be counted in, if it has a plan for it and they are not too many."""
    if plan.exponent is None:
        return None
    width = math.ldexp(1.0, plan.exponent)
    # Above 2 ** 52 a double has no fractions, so that the number of a cell would be rounded.
    n_cells, places = (high - low) * width, max(abs(low), abs(high)) * width
    if n_cells > _MAX_CELLS or places >= _EXACT:
        return None
    return Cells.between(low, high, plan.exponent)


def _n_distinct(plan: BinPlan, groups: Groups | None, bins: _Bins) -> int | None:
    if plan.is_by_value:
        return len(bins)
    about = [n for key, _, n in groups or () if key is not None and n is not None]
    return min(sum(about), sum(n for _, n in bins)) if about else None  # no value lies in two cells


def _top_values(bins: _Bins) -> tuple[tuple[str, int], ...]:
    if len(bins) > _MAX_TOP_OF:
        return ()
    frequent = sorted(bins, key=lambda item: (-item[1], item[0]))[:N_TOP_VALUES]
    return tuple((f"{value:.17g}", n) for value, n in frequent)


def _is_whole(column: Column) -> bool:
    return column.type.startswith(("int", "uint"))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the values that are not null, without the pandas that ``to_numpy`` would import."""
    values = column.combine_chunks().drop_null().cast(pa.float64(), safe=False)
    if not len(values):
        return np.empty(0)
    return np.frombuffer(values.buffers()[1], dtype=np.float64, count=len(values), offset=8 * values.offset)
