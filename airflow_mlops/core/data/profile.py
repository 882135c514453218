"""Profiles: what each column of a snapshot holds, counted on all of its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from airflow_mlops.core.values import Value

__all__ = [
    "MAX_CATEGORIES",
    "N_TOP_VALUES",
    "OTHER",
    "QUANTILES",
    "ColumnProfile",
    "DatasetProfile",
    "Spread",
    "bin_labels",
    "fold_rare",
    "has_profile",
    "is_moment",
    "is_numeric",
    "may_be_key",
    "quantiles_of",
]

OTHER = "(other)"
MAX_CATEGORIES = 100
N_TOP_VALUES = 20
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

_ABOUT_ALL = 0.9  # different values are counted within a few percent


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """What a column holds. All of it is counted on all rows.

    Minimum, maximum, mean and standard deviation are those of the finite values.

    :param edges: ascending bounds of a numeric column's bins, ``None`` for any other column.
    :param counts: rows by bin; they add up to all rows. Bins are closed on the left, the last one on both sides.
        Numeric columns have bins of their own for null, NaN, the infinities, and for values below and above what
        the reference had; other columns for null and for all values that are not among the frequent ones.
    :param n_distinct: number of different values, without null; about, where it is large. ``None`` where it says
        nothing: of measurements that are many different ones.
    :param minimum: smallest value: a number, or the ISO 8601 text of a date or a timestamp.
    :param std: standard deviation of the population.
    :param min_length: characters in the shortest text.
    :param top_values: the most frequent values as text with their counts, most frequent first, where there are
        few values; of a column with many, the most frequent ones of a sample, with counts from all rows.
    :param is_ordered: whether dates or timestamps never go back from one row to the next.
    :param quantiles: shares of the finite values, each with the smallest value that at least this share is not above:
        exact where there are few values or whole numbers that lie close together, else of cells that are several times
        as fine as the bins, or of a sample.
    """

    name: str
    edges: tuple[float, ...] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    n_distinct: int | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    std: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    top_values: tuple[tuple[str, int], ...] = ()
    is_ordered: bool | None = None
    quantiles: tuple[tuple[float, float], ...] = ()

    @property
    def n_rows(self) -> int:
        """Number of rows that were counted."""
        return sum(self.counts.values())

    @property
    def n_null(self) -> int:
        """Number of rows without a value."""
        return self.counts.get("null", 0)

    @property
    def n_nan(self) -> int:
        """Number of rows that are NaN, which is a value and not null."""
        return self.counts.get("nan", 0)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and standard deviation of a column's finite values; ``None`` where there are none, or too large ones."""

    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetProfile(Value):
    """The profiles of a snapshot's columns: what drift is measured against."""

    snapshot_digest: str
    n_rows: int
    columns: tuple[ColumnProfile, ...]


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bins between the edges, in order."""
    return tuple(f"[{low:.17g}, {high:.17g})" for low, high in pairwise(edges))


def quantiles_of(found: Sequence[tuple[float, int]]) -> tuple[tuple[float, float], ...]:
    """Return the quantiles of values with their numbers of rows: the inverse of the distribution function.

    Definition 1 of Hyndman and Fan, *Sample Quantiles in Statistical Packages* (1996).

    :param found: values, ascending.

    >>> quantiles_of([(0.0, 92), (5000.0, 8)])[3:]
    ((0.5, 0.0), (0.75, 0.0), (0.95, 5000.0), (0.99, 5000.0))
    """
    if not found:
        return ()
    values, n_rows = zip(*found, strict=True)
    ranks = np.cumsum(n_rows)
    # The first value at which the share is reached, less by rounding: a product may come out above a number of rows.
    places = np.searchsorted(ranks, np.array(QUANTILES) * ranks[-1] * (1 - 1e-12))
    return tuple((share, float(values[place])) for share, place in zip(QUANTILES, places.tolist(), strict=True))


def fold_rare(counts: Mapping[str, int], n_null: int, n_rows: int, *, known: Mapping[str, int]) -> dict[str, int]:
    """Put the values that have no bin of their own in one.

    :param counts: of values, as text; what is missing in them is rare.
    :param known: the bins of the reference; empty to keep the most frequent values.

    >>> fold_rare({"a": 3, "b": 1}, 0, 5, known={"=a": 9, "=c": 1})
    {'=a': 3, '(other)': 2}
    """
    frequent = sorted(counts, key=lambda value: (-counts[value], value))
    kept = [value for value in frequent if f"={value}" in known] if known else frequent[:MAX_CATEGORIES]
    folded = {f"={value}": counts[value] for value in kept} | ({"null": n_null} if n_null else {})
    rare = n_rows - sum(folded.values())
    return {**folded, OTHER: rare} if rare else folded


def is_numeric(arrow_type: str) -> bool:
    """Return whether a column's type, as text, is a number."""
    return arrow_type.startswith(("int", "uint", "float", "double", "half", "decimal"))


def is_moment(arrow_type: str) -> bool:
    """Return whether a column's type, as text, is a date or a timestamp."""
    return arrow_type.startswith(("timestamp", "date"))


def may_be_key(profile: ColumnProfile) -> bool:
    """Return whether every row may have a value of its own, as keys and running numbers have.

    Numbers may be different by chance. If ``n`` of them were drawn from as many as lie between the smallest and the
    largest, :math:`n (n - 1) / 2 r` pairs would be equal, and none with a probability of about ``exp`` of minus that
    (the birthday problem; Feller, 1968, II.3): they are a key where that is less than one in a hundred.

    >>> may_be_key(ColumnProfile(name="id", edges=(), counts={"all": 300}, n_distinct=300, minimum=1, maximum=300))
    True
    >>> may_be_key(ColumnProfile(name="fee", edges=(), counts={"all": 300}, n_distinct=300, minimum=1, maximum=10**6))
    False
    """
    n_values = profile.n_rows - profile.n_null - profile.n_nan
    if n_values < 2 or (profile.n_distinct or 0) < _ABOUT_ALL * n_values:
        return False
    if profile.edges is None:
        return True
    low, high = profile.minimum, profile.maximum
    if not isinstance(low, float | int) or not isinstance(high, float | int):
        return False
    values = (low, high, *(float(text) for text, _ in profile.top_values))
    if not all(float(value).is_integer() for value in values):  # a measurement
        return False
    return n_values * (n_values - 1) / (2 * (high - low + 1)) > math.log(100)


def has_profile(arrow_type: str) -> bool:
    """Return whether a column's type, as text, is one whose values can be counted: not nested, not binary."""
    opaque = ("list", "large_list", "fixed_size", "struct", "map", "binary", "large_binary", "duration", "null")
    return not arrow_type.startswith(opaque)
