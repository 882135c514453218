"""Bins: where the histogram of a numeric column has its edges, and what lies between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.profile import QUANTILES, ColumnProfile, bin_labels, fold_rare

__all__ = ["SPECIAL_BINS", "BinPlan", "bin_counts", "common_exponent", "outer_edges", "plan_bins", "profile_values"]

SPECIAL_BINS = ("null", "nan", "-inf", "+inf", "below", "above")
_N_BINS = 20
_MAX_OWN_BINS = 32
_CELLS_PER_BIN = 4
_MAX_CELLS = 30_000
_EXACT = 2.0**52


@dataclass(frozen=True, kw_only=True)
class BinPlan:
    """How a numeric column is to be counted.

    :param edges: ascending, between the smallest and the largest value, neither of which is known yet.
    :param is_by_value: there seem to be few different values: count each of them.
    :param exponent: all edges are whole multiples of ``2**-exponent``, so that rows can be counted by the cell
        of that width which they lie in, exactly and several times as fast as by comparing them with the edges.
        ``None``: there is no such width.
    """

    edges: tuple[float, ...]
    is_by_value: bool = False
    exponent: int | None = None


def plan_bins(sample: NDArray[np.float64]) -> BinPlan:
    """Choose edges at quantiles of a sample that is spread over the rows, or at its values if they are few.

    :param sample: ``(n,) float64``; what is not finite is left out.

    >>> plan_bins(np.array([1.0, 0.0, 1.0]))
    BinPlan(edges=(0.0, 1.0), is_by_value=True, exponent=None)
    """
    finite = np.sort(sample[np.isfinite(sample)])
    if not len(finite):
        return BinPlan(edges=())
    values = finite[np.concatenate(([True], finite[1:] != finite[:-1]))]
    if len(values) <= _MAX_OWN_BINS:
        return BinPlan(edges=_as_floats(values), is_by_value=True)
    # Quantiles that are values; equal ones are one edge, so that a frequent value makes one bin.
    edges = np.unique(finite[(np.arange(1, _N_BINS) * len(finite)) // _N_BINS])
    exponent = _cell_exponent(edges)
    if exponent is not None:
        # Rounded down to multiples of a power of two: exact in a double, and a row's cell tells its bin.
        edges = np.unique(np.ldexp(np.floor(np.ldexp(edges, exponent)), -exponent))
    return BinPlan(edges=_as_floats(edges), exponent=exponent)


def _cell_exponent(edges: NDArray[np.float64]) -> int | None:
    """Return the exponent of the widest cells that still tell the edges apart, if they are not too many."""
    if len(edges) < 2:
        return None
    with np.errstate(over="ignore"):
        gap, span = float(np.diff(edges).min()), float(edges[-1] - edges[0])
    if not math.isfinite(span):
        return None
    # A few cells in the narrowest bin, so that rounding moves an edge by a fraction of it.
    exponent = math.ceil(math.log2(_CELLS_PER_BIN) - math.log2(gap))
    largest = float(np.abs(edges).max())
    cells, places = math.log2(span) + exponent, math.log2(largest) + exponent
    fits = cells <= math.log2(_MAX_CELLS) and places < math.log2(_EXACT) and abs(exponent) < 1000
    return exponent if fits else None


def outer_edges(plan: Sequence[float], minimum: float, maximum: float) -> tuple[float, ...]:
    """Return a plan's edges together with the smallest and the largest value of all.

    A largest value that is an edge of the plan gets a bin that holds just itself.

    >>> outer_edges([0.0, 1.0], -2.5, 9.0)
    (-2.5, 0.0, 1.0, 9.0)
    """
    edges = [minimum, *(edge for edge in plan if minimum < edge <= maximum)]
    edges.append(maximum if maximum > edges[-1] else math.nextafter(maximum, math.inf))
    return tuple(edges)


def bin_counts(edges: Sequence[float], found: Sequence[tuple[float, int]]) -> dict[str, int]:
    """Add up counts by bin.

    :param edges: of the bins, ascending.
    :param found: the smallest value that some rows may have, and their number; no rows cross an edge.
    """
    labels = bin_labels(edges)
    totals = np.zeros(len(labels), dtype=np.int64)
    if found and labels:
        starts, n_rows = (np.array(side) for side in zip(*found, strict=True))
        places = np.searchsorted(edges, starts, side="right") - 1
        np.add.at(totals, np.clip(places, 0, len(labels) - 1), n_rows)
    return dict.fromkeys(SPECIAL_BINS, 0) | {label: int(n) for label, n in zip(labels, totals, strict=True)}


def common_exponent(edges: Sequence[float], max_cells: int) -> int | None:
    """Return the exponent of the widest cells of which all edges but the outer ones are whole multiples.

    :param max_cells: that may lie between the outer edges.
    :returns: ``None``: there is none.

    >>> common_exponent([-0.3, 0.25, 1.5, 7.7], 1000)
    2
    """
    if not edges:
        return None
    inner = [Fraction(edge) for edge in edges[1:-1] if edge] or [Fraction(1)]
    exponent = max(each.denominator.bit_length() - 1 - _n_zeros(each.numerator) for each in inner)
    n_cells = (Fraction(edges[-1]) - Fraction(edges[0])) * Fraction(2) ** exponent
    places = max(abs(Fraction(edge)) for edge in edges) * Fraction(2) ** exponent
    return exponent if n_cells < max_cells and places < _EXACT and abs(exponent) < 1000 else None


def _n_zeros(number: int) -> int:
    """Return how often a number can be divided by two."""
    return (number & -number).bit_length() - 1


def profile_values(name: str, values: NDArray[np.generic]) -> ColumnProfile:
    """Return the profile of values that are held in memory, such as predictions.

    :param values: ``(n_rows,)``, finite numbers or labels; none of them is missing.

    >>> profile_values("mlops_prediction", np.array(["yes", "no", "yes"])).counts
    {'=yes': 2, '=no': 1}
    """
    if values.dtype.kind not in "iuf":
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values.tolist()]
        counts = fold_rare(Counter(texts), 0, len(texts), known={})
        return ColumnProfile(name=name, counts=counts, n_distinct=len(set(texts)))
    numbers = np.sort(values.astype(np.float64))
    plan = plan_bins(numbers)
    edges = outer_edges(plan.edges, float(numbers[0]), float(numbers[-1]))
    starts = [0, *np.searchsorted(numbers, edges[1:-1]).tolist(), len(numbers)]
    found = [(edge, end - start) for edge, (start, end) in zip(edges[:-1], pairwise(starts), strict=True)]
    return ColumnProfile(
        name=name,
        edges=edges,
        counts=bin_counts(edges, found),
        n_distinct=len(found) if plan.is_by_value else None,
        quantiles=tuple(zip(QUANTILES, np.quantile(numbers, QUANTILES, method="inverted_cdf").tolist(), strict=True)),
    )


def _as_floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values + 0.0)  # -0.0 is 0.0
