"""How a model treats the groups of a protected attribute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.slices import SlicedColumn, check_losses

__all__ = ["FairnessReport", "GroupFairness", "judged_groups", "regression_fairness"]

_AT_LEAST = frozenset({"demographic_parity_ratio"})
"""The measures of which more is fairer."""


@dataclass(frozen=True, kw_only=True)
class GroupFairness:
    """One group of the attribute.

    :param name: ``sex=Female``.
    :param is_judged: whether it has enough rows to count for the report's measures.
    :param scores: of a classifier ``selection_rate``, ``true_positive_rate``, ``false_positive_rate`` and ``accuracy``,
        in [0, 1]; of a regression ``mean_error`` and ``mean_absolute_error``, in the unit of the target. NaN where a
        group has no row to tell it by, such as the true positive rate of a group without positives.
    """

    name: str
    n_rows: int
    is_judged: bool
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FairnessReport:
    """The groups of one attribute, and how far they are apart.

    :param min_rows: smaller groups are shown, and not judged.
    :param measures: over the judged groups. Of a classifier ``demographic_parity_difference`` and
        ``demographic_parity_ratio`` (of the selection rates), and ``equalized_odds_difference`` (the larger difference
        of the true and the false positive rates); of a regression ``mean_error_difference`` and
        ``mean_absolute_error_difference``. NaN where a judged group has no such score, or fewer than two are judged.
    """

    attribute: str
    min_rows: int
    groups: tuple[GroupFairness, ...]
    measures: Mapping[str, float]

    def is_within(self, measure: str, limit: float) -> bool:
        """Return whether a measure respects its limit: a ratio at least, a difference at most. NaN never does.

        :raises KeyError: when the report has no such measure.
        """
        value = self.measures[measure]
        return value >= limit if measure in _AT_LEAST else value <= limit


def judged_groups(groups: SlicedColumn, min_rows: int) -> list[bool]:
    """Return which of the groups have enough rows; none where but one has, since there is nothing to compare."""
    is_judged = [group.n_rows >= min_rows for group in groups.slices]
    return is_judged if sum(is_judged) > 1 else [False] * len(is_judged)


def regression_fairness(
    groups: SlicedColumn, *, y_true: NDArray[np.float64], y_pred: NDArray[np.float64], min_rows: int
) -> FairnessReport:
    """Return by group how far the predictions are off, and to which side.

    :param groups: the protected attribute, a group for each slice.
    :param y_true: ``(n_rows,) float64``.
    :param y_pred: ``(n_rows,) float64``; a positive mean error means that a group is predicted too much.
    :raises EvaluationError: when an error is NaN or infinite, or their number is wrong.

    >>> from airflow_mlops.core.evaluation.slices import code_categories
    >>> sex = code_categories("sex", np.array([0, 0, 1, 1]), ["f", "m"])
    >>> report = regression_fairness(sex, y_true=np.zeros(4), y_pred=np.array([1.0, 3.0, -1.0, 1.0]), min_rows=2)
    >>> report.measures
    {'mean_error_difference': 2.0, 'mean_absolute_error_difference': 1.0}
    """
    errors = check_losses(y_pred - y_true, len(groups.codes))
    sizes = np.bincount(groups.codes)
    scores = {
        "mean_error": np.bincount(groups.codes, weights=errors) / sizes,
        "mean_absolute_error": np.bincount(groups.codes, weights=np.abs(errors)) / sizes,
    }
    is_judged = judged_groups(groups, min_rows)
    found = [{name: float(values[place]) for name, values in scores.items()} for place in range(len(sizes))]
    return FairnessReport(
        attribute=groups.name,
        min_rows=min_rows,
        groups=tuple(
            GroupFairness(name=group.name, n_rows=group.n_rows, is_judged=judged, scores=each)
            for group, judged, each in zip(groups.slices, is_judged, found, strict=True)
        ),
        measures={
            f"{name}_difference": float(np.ptp(values[is_judged])) if any(is_judged) else math.nan
            for name, values in scores.items()
        },
    )
