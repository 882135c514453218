"""DuckDB: counts numeric columns, each in one pass over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_mlops.adapters.duckdb_engine._engine import name
from airflow_mlops.adapters.duckdb_engine._scan import Scan
from airflow_mlops.adapters.duckdb_engine.counts import finite_histogram, number_literals
from airflow_mlops.core.bins import BinPlan, bin_counts, outer_edges, plan_bins
from airflow_mlops.core.profile import N_TOP_VALUES, ColumnProfile

__all__ = ["NumberCounter"]

_MAX_CELLS = 1_000_000
_SMALL = 30_000
_EXACT = 2.0**52


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What one pass over a column found among its finite values.

    :param bins: the smallest value that some rows may have, and their number.
    :param sums: of the distances from ``shift``, and of their squares.
    """

    bins: list[tuple[float, int]]
    shift: float
    sums: tuple[float, float]
    n_distinct: int | None = None
    top_values: tuple[tuple[str, int], ...] = ()

    @property
    def n_rows(self) -> int:
        return sum(n for _, n in self.bins)

    def mean_and_std(self) -> tuple[float | None, float | None]:
        """Return mean and standard deviation; ``None`` where the numbers are too large for their sums."""
        shifted, squares = (value / self.n_rows for value in self.sums)
        mean, variance = self.shift + shifted, squares - shifted * shifted
        std = math.sqrt(max(0.0, variance)) if math.isfinite(variance) else None
        return (mean if math.isfinite(mean) else None), std


class NumberCounter:
    """Counts numeric columns in bins that a sample suggests.

    :param extremes: the smallest and the largest value of each column; NaN may be left out of them or not.
    """

    def __init__(self, scan: Scan, extremes: Mapping[str, tuple[Any, Any]]) -> None:
        self._scan, self._extremes = scan, extremes
        self._plans: dict[str, BinPlan] = {}

    def has_many(self, column: str) -> bool:
        """Return whether the column seems to have too many different values to count each of them."""
        return not self._plan(column).is_by_value

    def count(self, profile: ColumnProfile, n_null: int, n_rows: int) -> ColumnProfile:
        """Return the profile with what the column's numbers are."""
        special = {"null": n_null}
        bounds = self._finite_extremes(profile.name)
        if bounds is None:
            odd = self._odd(profile.name, n_rows - n_null)
            return replace(profile, edges=(), counts=bin_counts((), ()) | special | odd, n_distinct=0)
        low, high = bounds
        plan = self._plan(profile.name)
        found = (
            self._count_values(profile.name) if plan.is_by_value else self._count_bins(profile.name, plan, low, high)
        )
        edges = outer_edges(plan.edges, low, high)
        mean, std = found.mean_and_std()
        return replace(
            profile,
            edges=edges,
            counts=bin_counts(edges, found.bins) | special | self._odd(profile.name, n_rows - n_null - found.n_rows),
            n_distinct=profile.n_distinct if found.n_distinct is None else found.n_distinct,
            minimum=low,
            maximum=high,
            mean=mean,
            std=std,
            top_values=found.top_values,
        )

    def _plan(self, column: str) -> BinPlan:
        if column not in self._plans:
            self._plans[column] = plan_bins(_numbers(self._scan.sample.column(column)))
        return self._plans[column]

    def _finite_extremes(self, column: str) -> tuple[float, float] | None:
        low, high = self._extremes[column]
        if low is not None and not (math.isfinite(low) and math.isfinite(high)):
            value = f"{name(column)}::DOUBLE"
            low, high = self._scan.row([f"{of}({value}) FILTER (WHERE isfinite({value}))" for of in ("min", "max")])
        return None if low is None else (float(low) + 0.0, float(high) + 0.0)

    def _odd(self, column: str, n_odd: int) -> dict[str, int]:
        """Count NaN and the infinities, if there are any."""
        if not n_odd:
            return {}
        value = f"{name(column)}::DOUBLE"
        low, high = self._scan.row([f"count(*) FILTER (WHERE {value} = '{sign}inf'::DOUBLE)" for sign in ("-", "+")])
        return {"-inf": low, "+inf": high, "nan": n_odd - low - high}

    def _count_values(self, column: str) -> _Counted:
        """Count each value, where there are few."""
        sql = f"SELECT {name(column)}::DOUBLE, count(*) FROM {self._scan.rows} GROUP BY 1"
        found = sorted((value, n) for value, n in self._scan.all(sql) if value is not None and math.isfinite(value))
        values, counts = (np.array(side, dtype=float) for side in zip(*found, strict=True))
        shift = float(values[len(values) // 2])
        with np.errstate(over="ignore", invalid="ignore"):
            centred = values - shift
            sums = float(counts @ centred), float(counts @ (centred * centred))
        frequent = sorted(found, key=lambda item: (-item[1], item[0]))[:N_TOP_VALUES]
        top = tuple((f"{value:.17g}", n) for value, n in frequent) if len(found) <= _MAX_TOP_OF else ()
        return _Counted(bins=found, shift=shift, sums=sums, n_distinct=len(found), top_values=top)

    def _count_bins(self, column: str, plan: BinPlan, low: float, high: float) -> _Counted:
        if plan.exponent is not None:
            width = math.ldexp(1.0, plan.exponent)
            n_cells, places = (high - low) * width, max(abs(low), abs(high)) * width
            if n_cells <= _MAX_CELLS and places < _EXACT:
                return self._count_cells(column, plan, plan.exponent, low, small=n_cells <= _SMALL)
        return self._count_between(column, plan, low)

    def _count_cells(self, column: str, plan: BinPlan, exponent: int, low: float, *, small: bool) -> _Counted:
        """Count rows by the cell that they lie in: several times as fast as comparing them with edges.

        What is null, NaN or infinite lies in no cell.
        """
        value, shift = f"{name(column)}::DOUBLE", plan.edges[len(plan.edges) // 2]
        start = math.floor(math.ldexp(low, exponent))
        place = f"floor({value} * {_literal(math.ldexp(1.0, exponent))}) - {start}"
        centred = f"({value} - {_literal(shift)})"
        found = self._scan.all(
            f"SELECT TRY_CAST({place} AS {'SMALLINT' if small else 'INTEGER'}) AS cell, count(*), sum({centred}), "
            f"sum({centred} * {centred}) FROM {self._scan.rows} GROUP BY cell"
        )
        cells = [row for row in found if row[0] is not None]
        bins = [(math.ldexp(start + cell, -exponent), n) for cell, n, _, _ in cells]
        sums = math.fsum(row[2] for row in cells), math.fsum(row[3] for row in cells)
        return _Counted(bins=bins, shift=shift, sums=sums)

    def _count_between(self, column: str, plan: BinPlan, low: float) -> _Counted:
        """Count rows by comparing them with the edges, where values are spread too far for cells."""
        value, edges = f"{name(column)}::DOUBLE", plan.edges
        shift = edges[len(edges) // 2] if edges else low
        centred, where = f"({value} - {_literal(shift)})", f"FILTER (WHERE isfinite({value}))"
        uppers = [*(math.nextafter(edge, -math.inf) for edge in edges), math.nextafter(math.inf, 0)]
        histogram, total, squares = self._scan.row(
            [finite_histogram(value, uppers), f"sum({centred}) {where}", f"sum({centred} * {centred}) {where}"]
        )
        bins = [(start, histogram.get(upper, 0)) for start, upper in zip((low, *edges), uppers, strict=True)]
        return _Counted(bins=bins, shift=shift, sums=(total, squares))


_MAX_TOP_OF = 1_000


def _literal(value: float) -> str:
    return number_literals([value])[1:-1]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return the values that are not null, without the pandas that ``to_numpy`` would import."""
    values = column.combine_chunks().drop_null().cast(pa.float64(), safe=False)
    if not len(values):
        return np.empty(0)
    return np.frombuffer(values.buffers()[1], dtype=np.float64, count=len(values), offset=8 * values.offset)
