"""How many held-out rows a gate needs to see a difference."""

from __future__ import annotations

import math
from statistics import NormalDist

from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.errors import EvaluationError

__all__ = ["detectable_difference", "rows_needed", "spread_of"]


def spread_of(report: EvaluationReport, interval: Interval) -> float:
    """Return the standard deviation that one row has in a difference, as an interval shows it.

    :param interval: of a difference, in the report.
    :raises EvaluationError: when the interval has no width, or none that is a number.
    """
    width = interval.high - interval.low
    if not math.isfinite(width) or width <= 0:
        raise EvaluationError(
            f"The interval {interval} says nothing about the spread of the difference: it has no width. Evaluate "
            f"models that differ, on more rows."
        )
    return width / 2 / _z(report.confidence_level) * math.sqrt(report.n_rows)


def rows_needed(spread: float, *, difference: float, confidence_level: float = 0.95, power: float = 0.8) -> int:
    """Return how many rows must be held out to see a difference.

    ``n = ((z[(1 + confidence) / 2] + z[power]) * spread / difference) ** 2``, the sample size of a paired comparison
    (Chow, Shao and Wang, *Sample Size Calculations in Clinical Research*, 2008, 3.1). The gate blesses when the whole
    interval is beyond the margin.

    :param spread: of one row, from :func:`spread_of`.
    :param difference: the true one, counted from the margin (the ``change_threshold``) that it is held against.
    :param power: how often such a difference is to be seen.

    >>> rows_needed(1.0, difference=0.1)
    785
    """
    if not difference or not math.isfinite(difference):
        raise EvaluationError(f"A difference of {difference} is never seen; give one that matters.")
    return math.ceil(((_z(confidence_level) + NormalDist().inv_cdf(power)) * spread / abs(difference)) ** 2)


def detectable_difference(spread: float, *, n_rows: int, confidence_level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest difference that so many rows show, counted from the margin.

    >>> round(detectable_difference(1.0, n_rows=785), 3)
    0.1
    """
    return (_z(confidence_level) + NormalDist().inv_cdf(power)) * spread / math.sqrt(n_rows)


def _z(confidence_level: float) -> float:
    return NormalDist().inv_cdf((1 + confidence_level) / 2)
