"""The paired bootstrap: resampling units, what they add to sums, and the intervals of differences.

All that is compared is resampled by the same rows, so that what is hard for everybody cancels out (the percentile
bootstrap of Efron, 1979, paired). Rows are put into at most :data:`MAX_UNITS` units, and units are drawn:

- single rows where there are few, which is the bootstrap itself; of more rows, units of rows at random, which have
  the same variance (random groups: Wolter, *Introduction to Variance Estimation*, 2007, chapter 2);
- blocks of neighbours where rows depend on their neighbours (Carlstein, 1986);
- groups where rows of one group depend on each other (the cluster bootstrap: Field and Welsh, 2007);
- within strata, each of them keeping its number of units (Davison and Hinkley, *Bootstrap Methods*, 1997, 3.2).

The time and the memory that this takes depend on units and replicates, hardly on rows: there is never a matrix of
replicates by rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.errors import EvaluationError

__all__ = ["MAX_UNITS", "Units", "interval_of", "replicate", "simultaneous_intervals", "sums_by_unit"]

Floats = NDArray[np.float64]

MAX_UNITS = 4096
"""The standard error that this many units give is itself right to 1 %."""

_CHUNK = 4_000_000
_MAX_NAN = 0.05


@dataclass(frozen=True, kw_only=True)
class Units:
    """Which unit each row belongs to.

    :param of_rows: ``(n_rows,) int32``, the number of each row's unit.
    :param n_units: how many there are.
    :param strata: how many units each stratum has; units are numbered stratum by stratum.
    :param kind: what a unit is, in words.
    """

    of_rows: NDArray[np.int32]
    n_units: int
    strata: tuple[int, ...]
    kind: str

    def at(self, rows: NDArray[np.intp]) -> Units:
        """Return the same units, of some of the rows."""
        return Units(of_rows=self.of_rows[rows], n_units=self.n_units, strata=self.strata, kind=self.kind)

    @classmethod
    def single(cls, n_rows: int) -> Units:
        """Return one unit that has all rows."""
        return cls(of_rows=np.zeros(n_rows, np.int32), n_units=1, strata=(1,), kind="all rows")

    @classmethod
    def rows(cls, n_rows: int, *, rng: np.random.Generator) -> Units:
        """Return units of single rows, or of rows at random where there are many."""
        # As many units as rows is the bootstrap itself; beyond MAX_UNITS the rows of a unit stand in for each other.
        n_units = min(n_rows, MAX_UNITS)
        return cls(of_rows=_dealt(n_rows, n_units, rng), n_units=n_units, strata=(n_units,), kind="rows")

    @classmethod
    def blocks(cls, n_rows: int, *, length: int) -> Units:
        """Return units of neighbours; of many rows the blocks are longer than asked for, never shorter."""
        n_units = min(max(n_rows // length, 1), MAX_UNITS)
        # Whole numbers, so that the blocks are consecutive and differ in length by one row at most.
        of_rows = (np.arange(n_rows, dtype=np.int64) * n_units // max(n_rows, 1)).astype(np.int32)
        return cls(of_rows=of_rows, n_units=n_units, strata=(n_units,), kind=f"blocks of {length} rows or more")

    @classmethod
    def groups(cls, codes: NDArray[np.integer], *, name: str, rng: np.random.Generator) -> Units:
        """Return units of whole groups; many groups are put together at random.

        :param codes: ``(n_rows,)``, the group of each row, counted from 0.
        """
        n_groups = int(codes.max()) + 1 if len(codes) else 0
        n_units = min(n_groups, MAX_UNITS)
        # Whole groups are dealt, never their rows: rows of one group have to be drawn or left out together.
        of_groups = _dealt(n_groups, n_units, rng)
        return cls(of_rows=of_groups[codes], n_units=n_units, strata=(n_units,), kind=f"groups by {name}")

    @classmethod
    def within(cls, codes: NDArray[np.integer], *, rng: np.random.Generator) -> Units:
        """Return units of rows that are drawn within strata, each of which keeps its size.

        :param codes: ``(n_rows,)``, the stratum of each row, counted from 0.
        """
        sizes = np.bincount(codes)
        # Each stratum gets units by its share of the rows, at least one, and never more than it has rows.
        share = np.maximum(np.minimum(sizes, np.floor(MAX_UNITS * sizes / max(len(codes), 1)).astype(int)), 1)
        of_rows = np.empty(len(codes), np.int32)
        strata: list[int] = []
        for stratum in np.flatnonzero(sizes):
            rows = np.flatnonzero(codes == stratum)
            # Units are numbered stratum by stratum, which is the order in which _times_drawn draws them.
            of_rows[rows] = sum(strata) + _dealt(len(rows), int(share[stratum]), rng)
            strata.append(int(share[stratum]))
        return cls(of_rows=of_rows, n_units=sum(strata), strata=tuple(strata), kind="rows within classes")


def _dealt(n: int, n_units: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Deal ``n`` things out at random to units of equal size, or nearly."""
    # Round robin makes the sizes equal to within one, the permutation makes the assignment random.
    dealt = (np.arange(n, dtype=np.int64) % max(n_units, 1)).astype(np.int32)
    return dealt if n == n_units else rng.permutation(dealt)


def sums_by_unit(units: Units, *columns: Floats) -> Floats:
    """Return what each unit adds to the sum of each column: ``(n_units, n_columns) float64``."""
    return np.stack([np.bincount(units.of_rows, weights=each, minlength=units.n_units) for each in columns], axis=1)


def replicate(sums: Floats, units: Units, *, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Draw the units again and again, and return the sums of each drawing.

    :param sums: ``(n_units, n_sums) float64``, what each unit adds.
    :returns: ``(n_resamples, n_sums) float64``. The same drawings count for all columns.
    :raises EvaluationError: when there is no unit.
    """
    if not units.n_units:
        raise EvaluationError("There is no row to resample.")
    replicates = np.empty((n_resamples, sums.shape[1]))
    # The counts are (replicates, units): they are made in chunks, so that memory does not grow with replicates.
    chunk = max(1, _CHUNK // units.n_units)
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        # A replicate of a sum is the sum of what the drawn units add: one product serves all columns.
        replicates[start : start + size] = _times_drawn(units, size, rng) @ sums
    return replicates


def _times_drawn(units: Units, size: int, rng: np.random.Generator) -> Floats:
    """Return how often each unit is drawn in each of ``size`` drawings: ``(size, n_units)``."""
    counts = []
    for n in units.strata:
        # Each drawing takes as many units as there are, with replacement. The offset gives it cells of its own, so that
        # one bincount counts all drawings of the stratum.
        drawn = rng.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        counts.append(np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n))
    return np.concatenate(counts, axis=1).astype(np.float64)


def interval_of(difference: float, replicates: Floats, *, confidence_level: float) -> Interval:
    """Return the percentile interval of a difference.

    :param replicates: ``(n_resamples,) float64``. More than one in twenty that is no number leaves no interval.
    :returns: the interval, with NaN as bounds where there is none.
    """
    if np.isnan(replicates).mean() > _MAX_NAN:
        return Interval(difference=difference, low=float("nan"), high=float("nan"))
    # The percentile method: what is left of the confidence goes to both tails alike. Few replicates that are no
    # number (a class that was not drawn) are left out.
    tail = (1 - confidence_level) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return Interval(difference=difference, low=float(low), high=float(high))


def simultaneous_intervals(
    differences: Sequence[float], replicates: Floats, *, confidence_level: float
) -> list[Interval]:
    """Return intervals that hold all differences at once, at the given confidence.

    Among many slices some look bad by chance. Each interval is so wide that the largest of the studentised deviations
    stays within it (the maximum-t method: Westfall and Young, 1993; Romano and Wolf, 2005). For one difference it is
    an interval of the ordinary width.

    :param differences: one for each slice.
    :param replicates: ``(n_resamples, n_slices) float64``, joint: a row is one drawing.
    """
    # A slice without a value, or with too many replicates that are no number, must not widen the others.
    found = np.asarray(differences, np.float64)
    is_sound = np.isfinite(found) & (np.isnan(replicates).mean(axis=0) <= _MAX_NAN)
    factor, errors = 0.0, np.full(len(found), np.nan)
    if is_sound.any():
        deviations = replicates[:, is_sound] - found[is_sound]
        # The bootstrap's standard error, around the found value rather than the replicates' mean.
        spread = np.sqrt(np.nanmean(np.square(deviations), axis=0))
        studentised = np.abs(deviations) / np.where(spread > 0, spread, np.inf)
        # Of each drawing the slice that is furthest off: its quantile bounds all slices of a drawing at once. A slice
        # that never varies is divided by infinity and so does not count.
        factor = float(np.quantile(np.nanmax(studentised, axis=1), confidence_level))
        errors[is_sound] = spread
    return [
        Interval(difference=float(d), low=float(d - factor * e), high=float(d + factor * e))
        for d, e in zip(found, errors, strict=True)
    ]
