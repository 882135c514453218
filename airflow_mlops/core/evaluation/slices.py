"""Slices of the rows by a column's values, and how the models do in each of them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.errors import EvaluationError

__all__ = [
    "MISSING",
    "OTHER_VALUES",
    "Slice",
    "SliceScore",
    "SlicedColumn",
    "check_losses",
    "code_categories",
    "code_numbers",
    "score_slice",
]

Floats = NDArray[np.float64]

MISSING = "(missing)"
"""The value of the rows that have none."""

OTHER_VALUES = "(other)"
"""The value of the rows whose own is too rare for a slice."""

_HEAD = 1000
_WHOLE = 1e15


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows for which all conditions hold.

    :param columns: the columns that the conditions are about, in the same order.
    :param conditions: ``region=north``, ``age in [40, 52)``, ``age < 31``, ``region=(missing)``.
    """

    columns: tuple[str, ...]
    conditions: tuple[str, ...]
    n_rows: int

    @property
    def name(self) -> str:
        """The conditions in one line."""
        return " & ".join(self.conditions)


@dataclass(frozen=True, kw_only=True, eq=False)
class SlicedColumn:
    """A column whose rows are in few slices, each row in one of them.

    :param conditions: of the slices. Each has at least one row.
    :param codes: ``(n_rows,) int32``, which of the slices each row is in.
    """

    name: str
    conditions: tuple[str, ...]
    codes: NDArray[np.int32]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The column's slices, in the order of their codes."""
        counts = np.bincount(self.codes, minlength=len(self.conditions))
        found = zip(self.conditions, counts.tolist(), strict=True)
        return tuple(Slice(columns=(self.name,), conditions=(text,), n_rows=n_rows) for text, n_rows in found)


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """The mean loss of the models in one slice.

    :param champion: ``None`` where there is no champion to compare with, as for the next two.
    :param difference: ``challenger - champion``; positive means that the challenger is worse.
    :param difference_error: the standard error of that difference, of losses in pairs; NaN for a single row.
    :param challenger_error: the standard error of the challenger's mean; NaN for a single row.
    """

    slice: Slice
    challenger: float
    challenger_error: float
    champion: float | None = None
    difference: float | None = None
    difference_error: float | None = None


def code_categories(
    name: str, codes: NDArray[np.integer], values: Sequence[str], *, max_values: int = 20
) -> SlicedColumn:
    """Make a slice of each of a column's most frequent values, and one of all the others.

    :param codes: ``(n_rows,)`` integers, the place of each row's value in ``values``; -1 for a missing one.
    :param values: the column's values as text. Equal texts are one value.
    :param max_values: how many values get a slice of their own; among equally frequent ones the first by the alphabet.

    >>> code_categories("region", np.array([0, 1, 0, -1]), ["north", "south"]).conditions
    ('region=north', 'region=south', 'region=(missing)')
    """
    # Counted from 1, so that the missing value, -1, has the first place.
    counts = np.bincount(codes + 1, minlength=len(values) + 1)
    present = np.flatnonzero(counts[1:]).tolist()
    kept = heapq.nsmallest(max_values, present, key=lambda place: (-int(counts[place + 1]), values[place]))
    labels = dict.fromkeys(values[place] for place in kept)
    if len(present) > len(kept):
        labels[OTHER_VALUES] = None
    if counts[0]:
        labels[MISSING] = None
    places = {label: place for place, label in enumerate(labels)}
    # A table from each value's code to its slice: one look-up codes all rows. What is not kept is among the others.
    slice_of = np.full(len(values) + 1, places.get(OTHER_VALUES, -1), dtype=np.int32)
    slice_of[0] = places.get(MISSING, -1)
    for place in kept:
        slice_of[place + 1] = places[values[place]]
    return SlicedColumn(name=name, conditions=tuple(f"{name}={label}" for label in labels), codes=slice_of[codes + 1])


def code_numbers(name: str, values: Floats, *, n_bins: int = 5) -> SlicedColumn:
    """Make slices of about equally many rows of a column of numbers, or of its values where they are few.

    :param values: ``(n_rows,) float64``; NaN is a missing value, infinity belongs to the outer slices.
    :param n_bins: how many slices at most, beside that of the missing values.

    >>> code_numbers("age", np.arange(100.0), n_bins=3).conditions
    ('age < 33', 'age in [33, 66)', 'age >= 66')
    """
    is_missing = np.isnan(values)
    finite = values[np.isfinite(values)]
    # Infinities can be no values of their own: with them, the column is cut into ranges.
    distinct = _few_values(finite, n_bins) if len(finite) == len(values) - is_missing.sum() else None
    if distinct is not None:
        codes = np.searchsorted(distinct, values)
        conditions = [f"{name}={text}" for text in _readable(distinct)]
    else:
        edges = _quantiles(finite, n_bins)
        codes = np.searchsorted(edges, values, side="right")
        conditions = _interval_conditions(name, _readable(edges))
    codes = np.where(is_missing, len(conditions), codes)
    return _without_empty(name, [*conditions, f"{name}={MISSING}"], codes)


def _few_values(finite: Floats, limit: int) -> Floats | None:
    """Return the different values, ``None`` when there are more than the limit; most columns' first rows tell."""
    if len(np.unique(finite[:_HEAD])) > limit:
        return None
    distinct = np.unique(finite)
    return distinct if len(distinct) <= limit else None


def _quantiles(finite: Floats, n_bins: int) -> Floats:
    """Return values between which there are about equally many rows."""
    if not len(finite):
        return finite
    return np.unique(np.quantile(finite, np.arange(1, n_bins) / n_bins, method="higher"))


def _readable(numbers: Floats) -> list[str]:
    """Return whole numbers as they are, others with four digits, or as many more as tell them apart."""
    if (numbers == np.round(numbers)).all() and (np.abs(numbers) < _WHOLE).all():
        return [str(int(number)) for number in numbers]
    written = ([f"{number + 0.0:.{digits}g}" for number in numbers] for digits in range(4, 18))  # -0.0 is 0.0
    return next(texts for texts in written if len(set(texts)) == len(numbers))  # 17 digits tell any two floats apart


def _interval_conditions(name: str, edges: Sequence[str]) -> list[str]:
    if not edges:
        return [f"{name} of any value"]
    between = [f"{name} in [{low}, {high})" for low, high in itertools.pairwise(edges)]
    return [f"{name} < {edges[0]}", *between, f"{name} >= {edges[-1]}"]


def _without_empty(name: str, conditions: Sequence[str], codes: NDArray[np.integer]) -> SlicedColumn:
    counts = np.bincount(codes, minlength=len(conditions))
    place = (np.cumsum(counts > 0) - 1).astype(np.int32)
    kept = tuple(text for text, n_rows in zip(conditions, counts, strict=True) if n_rows)
    return SlicedColumn(name=name, conditions=kept, codes=place[codes])


def score_slice(
    part: Slice, rows: NDArray[np.integer], *, challenger: Floats, champion: Floats | None = None
) -> SliceScore:
    """Return the mean losses in a slice, with their standard errors.

    :param rows: ``(n_rows_of_slice,)``, the places of its rows; at least one.
    :param challenger: ``(n_rows,) float64``, the loss of every row.
    :param champion: of the same rows in the same order.

    >>> both = Slice(columns=(), conditions=("all",), n_rows=2)
    >>> score = score_slice(both, np.arange(2), challenger=np.array([1.0, 3.0]))
    >>> score.challenger, score.challenger_error
    (2.0, 1.0)
    """
    loss = challenger[rows]
    if champion is None:
        return SliceScore(slice=part, challenger=float(loss.mean()), challenger_error=_error_of_mean(loss))
    difference = loss - champion[rows]
    return SliceScore(
        slice=part,
        challenger=float(loss.mean()),
        challenger_error=_error_of_mean(loss),
        champion=float(champion[rows].mean()),
        difference=float(difference.mean()),
        difference_error=_error_of_mean(difference),
    )


def _error_of_mean(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def check_losses(loss: Floats, n_rows: int) -> Floats:
    """Return the losses, one for each row.

    :raises EvaluationError: when their number is wrong, or one is NaN or infinite.
    """
    if loss.shape != (n_rows,):
        raise EvaluationError(f"Losses of shape {loss.shape} for {n_rows} rows: slices need one for each row.")
    if not np.isfinite(loss).all():
        raise EvaluationError(f"The loss of {int((~np.isfinite(loss)).sum())} of {n_rows} rows is NaN or infinite.")
    return loss
