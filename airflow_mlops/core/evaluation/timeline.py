"""How large the errors were, by time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.slices import check_losses
from airflow_mlops.errors import counted

__all__ = ["MAX_TIME_BINS", "ErrorTimeline", "TimeBin", "errors_by_time"]

Floats = NDArray[np.float64]
Moments = NDArray[np.datetime64]

MAX_TIME_BINS = 24

_SECONDS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
_SIZES = {
    "second": (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)),
    "month": (("year", 12), ("month", 1)),
}
_MONDAY = np.datetime64("1969-12-29T00:00:00", "s")
"""The Monday before 1970, so that weeks begin on Mondays. Days, hours and less begin with it too."""


@dataclass(frozen=True, kw_only=True)
class TimeBin:
    """The rows from a time on, up to the next one.

    :param start: in ISO 8601, as the calendar cuts: ``2026-01-01T00:00:00``.
    :param challenger: the mean loss of its rows.
    :param champion: ``None`` where there is no champion to compare with.
    """

    start: str
    n_rows: int
    challenger: float
    champion: float | None = None


@dataclass(frozen=True, kw_only=True)
class ErrorTimeline:
    """The mean loss by time. Bins without rows are left out.

    :param step: how long a bin is: ``6 hours``, ``1 month``.
    :param n_null: rows without a timestamp, which are in no bin.
    """

    step: str
    bins: tuple[TimeBin, ...]
    n_null: int


def errors_by_time(moments: Moments, *, challenger: Floats, champion: Floats | None = None) -> ErrorTimeline:
    """Return the mean losses by the shortest steps of the calendar that make at most 24 bins.

    :param moments: ``(n_rows,) datetime64`` of any unit, NaT for none.
    :param challenger: ``(n_rows,) float64``, the loss per row.
    :param champion: of the same rows in the same order.
    :returns: without bins where no row has a timestamp.
    :raises EvaluationError: when a loss is NaN or infinite, or their number is wrong.

    >>> days = np.arange("2026-01-01", "2026-03-01", dtype="datetime64[D]")
    >>> timeline = errors_by_time(days, challenger=np.arange(59.0))
    >>> timeline.step, len(timeline.bins)
    ('1 week', 9)
    >>> timeline.bins[0]
    TimeBin(start='2025-12-29T00:00:00', n_rows=4, challenger=1.5, champion=None)
    """
    losses = {"challenger": check_losses(challenger, len(moments))}
    if champion is not None:
        losses["champion"] = check_losses(champion, len(moments))
    is_known = ~np.isnat(moments)
    known = moments[is_known].astype("datetime64[s]")
    n_null = len(moments) - len(known)
    if not len(known):
        return ErrorTimeline(step="", bins=(), n_null=n_null)
    step, places, starts = _cut(known)
    counts = np.bincount(places, minlength=len(starts))
    with np.errstate(invalid="ignore"):  # bins without rows have no mean, and are left out
        means = {
            who: np.bincount(places, weights=loss[is_known], minlength=len(starts)) / counts
            for who, loss in losses.items()
        }
    bins = tuple(
        TimeBin(
            start=str(starts[place]),
            n_rows=int(counts[place]),
            **{who: float(mean[place]) for who, mean in means.items()},
        )
        for place in np.flatnonzero(counts)
    )
    return ErrorTimeline(step=step, bins=bins, n_null=n_null)


def _cut(known: Moments) -> tuple[str, NDArray[np.int64], Moments]:
    """Return the step, the bin of each row, and where the bins start: by the first of the steps that makes few bins."""
    ends = np.array([known.min(), known.max()])
    amount, unit, origin = next(step for step in _steps() if np.diff(_bins(ends, step))[0] < MAX_TIME_BINS)
    low, high = _bins(ends, (amount, unit, origin)).tolist()
    starts = (origin + np.arange(low, high + 1) * amount).astype("datetime64[s]")
    return _step_name(amount, unit), _bins(known, (amount, unit, origin)) - low, starts


def _bins(moments: Moments, step: tuple[int, str, Any]) -> NDArray[np.int64]:
    """Return in which bin of a step each time lies, counted from the step's origin."""
    amount, _, origin = step
    bins: NDArray[np.int64] = (moments.astype(origin.dtype) - origin).astype(np.int64) // amount
    return bins


def _steps() -> Iterator[tuple[int, str, Any]]:
    """Give steps of the calendar by length, with what they are counted from."""
    yield from ((amount, "second", _MONDAY) for amount in _SECONDS)
    months = itertools.chain(_MONTHS, (240 * 2**doublings for doublings in itertools.count()))
    yield from ((amount, "month", np.datetime64("0000-01", "M")) for amount in months)


def _step_name(amount: int, unit: str) -> str:
    name, size = next((name, size) for name, size in _SIZES[unit] if amount % size == 0)
    number = amount // size
    return counted(number, name)
