"""Profiles: how often each bin of each column occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value

__all__ = ["OTHER", "ColumnProfile", "DatasetProfile", "bin_labels", "count_numbers", "quantile_edges"]

OTHER = "(other)"
_SPECIAL = ("null", "nan", "-inf", "+inf", "below", "above")


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """How often each bin of a column occurs.

    :param edges: ascending bounds of a numeric column's bins, ``None`` for a categorical one.
    :param counts: by bin. Numeric columns have bins of their own for null, NaN, the infinities, and for
        values below and above what the reference had; categorical ones for null and all rare values.
    """

    name: str
    edges: tuple[float, ...] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows that were counted."""
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True)
class DatasetProfile(Value):
    """The profiles of a snapshot's columns, counted on all rows: what drift is measured against."""

    snapshot_digest: str
    n_rows: int
    columns: tuple[ColumnProfile, ...]


def quantile_edges(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Return bin edges from ascending reference quantiles, duplicates merged.

    A constant column gets one bin that holds just its value.

    >>> quantile_edges([1.0, 1.0, 2.0])
    (1.0, 2.0)
    """
    edges = np.unique(np.asarray(quantiles, dtype=float))
    if len(edges) == 1:
        edges = np.array([edges[0], np.nextafter(edges[0], np.inf)])
    return tuple(float(edge) for edge in edges)


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bins between the edges, in order."""
    return tuple(f"[{low:.17g}, {high:.17g})" for low, high in pairwise(edges))


def count_numbers(values: NDArray[np.float64], n_null: int, edges: Sequence[float]) -> dict[str, int]:
    """Count values by bin, in one pass.

    :param values: ``(n,) float64``, the values that are not null; NaN and infinities may be among them.
    :param n_null: how many more rows are null.
    :param edges: ascending; bins are closed on the left, the last one on both sides.
    :returns: counts by bin name; they add up to ``len(values) + n_null``.

    >>> counts = count_numbers(np.array([0.0, 1.0, 2.0, 9.0, np.nan]), 1, [1.0, 2.0])
    >>> {name: count for name, count in counts.items() if count}
    {'null': 1, 'nan': 1, 'below': 1, 'above': 1, '[1, 2)': 2}
    """
    counts = dict.fromkeys((*_SPECIAL, *bin_labels(edges)), 0)
    finite = values[np.isfinite(values)]
    counts["null"] = n_null
    counts["nan"] = int(np.isnan(values).sum())
    counts["-inf"] = int(np.isneginf(values).sum())
    counts["+inf"] = int(np.isposinf(values).sum())
    if not len(edges):
        counts["above"] = len(finite)
        return counts
    bounds = np.asarray(edges)
    index = np.searchsorted(bounds, finite, side="right")
    index[finite == bounds[-1]] = len(bounds) - 1
    tally = np.bincount(index, minlength=len(bounds) + 1)
    counts["below"], counts["above"] = int(tally[0]), int(tally[-1])
    counts.update(zip(bin_labels(edges), (int(n) for n in tally[1:-1]), strict=True))
    return counts
