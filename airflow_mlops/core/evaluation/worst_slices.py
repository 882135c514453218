"""The slices in which a model is worst, found among all by one and two columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.slices import Slice, SlicedColumn, check_losses
from airflow_mlops.errors import EvaluationError

__all__ = ["WorstSlice", "find_worst_slices"]

Floats = NDArray[np.float64]

_ALPHA = 0.95
"""The weight of the error against the size, as in SliceLine's experiments."""

_SURE = 4.0
"""By how many standard errors a slice must be worse: of thousands, one in 30,000 gets there by chance."""

_DIGITS = 9
"""Of a score: the order of the rows changes the last digits of a sum, and must not change the order of the slices."""


@dataclass(frozen=True, kw_only=True)
class WorstSlice:
    """A slice in which the model is worse than elsewhere.

    :param loss: the mean loss of its rows.
    :param lift: that loss over the mean loss of all rows.
    :param score: what it is ranked by, see :func:`find_worst_slices`.
    """

    slice: Slice
    loss: float
    lift: float
    score: float


def find_worst_slices(
    loss: Floats, columns: Sequence[SlicedColumn], *, min_rows: int, max_order: Literal[1, 2] = 2, top: int = 10
) -> tuple[WorstSlice, ...]:
    r"""Find the slices by one or two columns in which the loss is highest for their size.

    They are ranked by the score of SliceLine (Sagadeeva and Boehm, SIGMOD 2021),

    .. math:: \alpha \left(\frac{\bar e_S}{\bar e} - 1\right) - (1 - \alpha) \left(\frac{n}{|S|} - 1\right)

    with :math:`\alpha` = 0.95: a slice of a hundredth of the rows must have about six times the loss to be above 0,
    which is what all rows together have. Slices at or below 0 are left out. So are slices whose mean loss is not above
    that of all rows by four of its standard errors, and pairs whose mean is not as clearly above both of the slices
    that they are made of. Pairs of columns that can't reach the list, by the paper's upper bound of the score, are not
    counted; that changes no result.

    :param loss: ``(n_rows,) float64``, not negative.
    :param columns: each with a code for every row.
    :param min_rows: smaller slices are left out.
    :param top: how many to return at most.
    :returns: the worst first; of equal scores the larger one, then by name.
    :raises EvaluationError: when a loss is negative, NaN or infinite, or their number is wrong.

    >>> from airflow_mlops.core.evaluation.slices import code_categories
    >>> rng = np.random.default_rng(0)
    >>> places = rng.integers(0, 4, 4000)
    >>> loss = rng.exponential(size=4000) * np.where(places == 2, 3.0, 1.0)
    >>> region = code_categories("region", places, ["a", "b", "c", "d"])
    >>> [worst] = find_worst_slices(loss, [region], min_rows=100)
    >>> worst.slice.name, worst.slice.n_rows, round(worst.lift, 1)
    ('region=c', 991, 2.0)
    """
    for column in columns:
        check_losses(loss, len(column.codes))
    if not len(loss) or not loss.any():
        return ()
    if loss.min() < 0:
        raise EvaluationError(f"A loss per row is negative ({loss.min():.4g}); slices can't be ranked by it.")
    search = _Search(loss, min_rows, top)
    singles = [search.add_single(column) for column in columns]
    if max_order == 2:
        # Best bound first, ties by name: once the list is full of better scores, no later pair can get onto it.
        pairs = [(search.bound(a, b), a, b) for a, b in itertools.combinations(singles, 2)]
        pairs.sort(key=lambda pair: (-pair[0], pair[1].column.name, pair[2].column.name))
        for bound, a, b in pairs:
            if bound < search.score_to_reach:
                break
            search.add_pair(a, b)
    return search.ranked()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Counted:
    """A column's slices: their sizes, the sums of their losses, the largest losses and the means."""

    column: SlicedColumn
    n_rows: Floats
    total: Floats
    largest: Floats
    mean: Floats


class _Search:
    """The slices found so far, and what all of them are measured by."""

    def __init__(self, loss: Floats, min_rows: int, top: int) -> None:
        self._loss = loss
        self._mean = float(loss.mean())
        self._squares = np.square(loss - self._mean)
        self._min_rows = max(min_rows, 2)
        self._top = top
        self._found: list[WorstSlice] = []

    @property
    def score_to_reach(self) -> float:
        """The score of the last slice on the list, 0 while there is room."""
        return self._found[self._top - 1].score if len(self._found) >= self._top else 0.0

    def ranked(self) -> tuple[WorstSlice, ...]:
        return tuple(self._found[: self._top])

    def add_single(self, column: SlicedColumn) -> _Counted:
        n_rows, total = self._counted(column.codes, len(column.conditions))
        # The bound of a pair needs the largest loss of each slice, beside size and sum.
        largest = np.zeros(len(n_rows))
        np.maximum.at(largest, column.codes, self._loss)
        # A slice by one column has to be worse than all rows together.
        self._add((column,), column.codes, n_rows, total, np.full(len(n_rows), self._mean))
        return _Counted(column=column, n_rows=n_rows, total=total, largest=largest, mean=total / n_rows)

    def add_pair(self, a: _Counted, b: _Counted) -> None:
        width = len(b.column.conditions)
        # Both codes make one, which numbers the combinations row by row of the table a x b.
        codes = a.column.codes * np.int64(width) + b.column.codes
        n_rows, total = self._counted(codes, len(a.column.conditions) * width)
        # A pair that is no worse than one of its own columns' slices tells nothing new.
        parents = np.maximum(a.mean[:, None], b.mean[None, :]).ravel()
        self._add((a.column, b.column), codes, n_rows, total, np.maximum(parents, self._mean))

    def bound(self, a: _Counted, b: _Counted) -> float:
        """Return a score that no pair of the two columns' slices exceeds, after Sagadeeva and Boehm (2021).

        A pair's loss sums up to at most that of either slice, and to at most its size times the largest loss; the
        score is highest at the smallest size, at the largest one, or where these two limits meet.
        """
        # What the intersection of two slices can have at most: rows, sum of the losses, largest loss.
        most = np.minimum(a.n_rows[:, None], b.n_rows[None, :])
        total = np.minimum(a.total[:, None], b.total[None, :])
        largest = np.minimum(a.largest[:, None], b.largest[None, :])
        with np.errstate(invalid="ignore", divide="ignore"):
            # The size from which the sum, and no longer size times largest loss, is the tighter limit.
            meet = np.where(largest > 0, total / largest, self._min_rows)
        sizes = [np.full(most.shape, float(self._min_rows)), np.clip(meet, self._min_rows, np.maximum(most, 1)), most]
        scores = [self._score(np.minimum(total, size * largest), np.maximum(size, 1)) for size in sizes]
        return float(np.where(most >= self._min_rows, np.max(scores, axis=0), -np.inf).max(initial=-np.inf))

    def _counted(self, codes: NDArray[np.integer], n_codes: int) -> tuple[Floats, Floats]:
        """Return the slices' sizes and the sums of their losses."""
        counts, sums = (np.bincount(codes, weights=weights, minlength=n_codes) for weights in (None, self._loss))
        return counts.astype(np.float64), sums.astype(np.float64)

    def _score(self, total: Floats, n_rows: Floats) -> Floats:
        # SliceLine's score: relative loss against relative smallness, rounded so that the order of rows can't matter.
        excess = total / n_rows / self._mean - 1
        return np.round(_ALPHA * excess - (1 - _ALPHA) * (len(self._loss) / n_rows - 1), _DIGITS)

    def _add(
        self,
        columns: Sequence[SlicedColumn],
        codes: NDArray[np.integer],
        n_rows: Floats,
        total: Floats,
        to_exceed: Floats,
    ) -> None:
        """Add the slices that are large enough and clearly worse than these means.

        :param codes: ``(n_rows,)`` integers, one for each combination of conditions, counted from the last column on.
        """
        size = np.maximum(n_rows, 2)
        mean, score = total / size, self._score(total, size)
        is_worse = (n_rows >= self._min_rows) & (mean > to_exceed) & (score > 0)
        if not is_worse.any():
            return
        # Var = E[(x - c)²] - (mean - c)² around the mean c of all rows, which one more bincount gives. Only now: most
        # columns have no slice that gets this far.
        squares = np.bincount(codes, weights=self._squares, minlength=len(size))
        variance = np.maximum(squares / size - np.square(mean - self._mean), 0)
        # Worse by four standard errors of its own mean, as thousands of slices are looked at.
        is_worse &= mean - _SURE * np.sqrt(variance / (size - 1)) > to_exceed
        shape = tuple(len(column.conditions) for column in columns)
        for place in np.flatnonzero(is_worse).tolist():
            each = zip(columns, np.unravel_index(place, shape), strict=True)
            found = Slice(
                columns=tuple(column.name for column in columns),
                conditions=tuple(column.conditions[code] for column, code in each),
                n_rows=int(n_rows[place]),
            )
            loss = float(mean[place])
            self._found.append(WorstSlice(slice=found, loss=loss, lift=loss / self._mean, score=float(score[place])))
        self._found.sort(key=lambda worst: (-worst.score, -worst.slice.n_rows, worst.slice.name))
