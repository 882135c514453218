"""How a model treats the groups of a protected attribute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.slices import SlicedColumn, check_losses
from airflow_mlops.errors import EvaluationError

__all__ = ["FairnessReport", "GroupFairness", "classification_fairness", "regression_fairness"]

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


def classification_fairness(
    groups: SlicedColumn, *, y_true: NDArray[np.bool_], y_pred: NDArray[np.bool_], min_rows: int
) -> FairnessReport:
    r"""Return by group how often the model selects, and how often it is right.

    With :math:`A` the group, :math:`Y` the class and :math:`\hat Y` the prediction, the rates are
    :math:`P(\hat Y = 1 \mid A)`, :math:`P(\hat Y = 1 \mid A, Y = 1)` and :math:`P(\hat Y = 1 \mid A, Y = 0)`.
    Demographic parity requires that the first is equal for all groups, equalized odds that the other two are (Hardt,
    Price and Srebro, *Equality of Opportunity in Supervised Learning*, 2016, definition 2.1). Difference and ratio are
    those of the largest and the smallest rate, as fairlearn has them (Weerts et al., *Fairlearn: Assessing and
    Improving Fairness of AI Systems*, 2023). Other than there, a rate of no row at all is NaN, and not 0.

    :param groups: the protected attribute, a group for each slice.
    :param y_true: ``(n_rows,) bool``, whether the row is of the positive class, which is the good outcome; of more
        than two classes all others are negative.
    :param y_pred: ``(n_rows,) bool``, whether it is predicted to be.
    :param min_rows: smaller groups are shown, and not judged.
    :raises EvaluationError: when there is no row, or not one for each of the groups'.

    >>> from airflow_mlops.core.evaluation.slices import code_categories
    >>> sex = code_categories("sex", np.array([0, 0, 0, 0, 1, 1]), ["f", "m"])
    >>> y_true, y_pred = np.array([1, 1, 0, 0, 1, 0], bool), np.array([1, 0, 0, 0, 1, 0], bool)
    >>> classification_fairness(sex, y_true=y_true, y_pred=y_pred, min_rows=2).measures
    {'demographic_parity_difference': 0.25, 'demographic_parity_ratio': 0.5, 'equalized_odds_difference': 0.5}
    """
    n_rows = len(groups.codes)
    if not n_rows or y_true.shape != (n_rows,) or y_pred.shape != (n_rows,):
        raise EvaluationError(
            f"Fairness by {groups.name!r}: {n_rows} rows have a group, {len(y_true)} a class and {len(y_pred)} a "
            f"prediction; it needs all three for the same rows, at least one."
        )
    counts = np.bincount(groups.codes * 4 + y_true * 2 + y_pred, minlength=4 * len(groups.conditions))
    true_negatives, false_positives, false_negatives, true_positives = counts.reshape(-1, 4).T
    negatives, positives = true_negatives + false_positives, false_negatives + true_positives
    with np.errstate(invalid="ignore"):  # of no row, a rate is NaN
        rates = {
            "selection_rate": (true_positives + false_positives) / (positives + negatives),
            "true_positive_rate": true_positives / positives,
            "false_positive_rate": false_positives / negatives,
            "accuracy": (true_positives + true_negatives) / (positives + negatives),
        }
    is_judged = _judged_groups(groups, min_rows)
    selected = rates["selection_rate"][is_judged]
    odds = [_spread(rates[name][is_judged]) for name in ("true_positive_rate", "false_positive_rate")]
    return FairnessReport(
        attribute=groups.name,
        min_rows=min_rows,
        groups=_groups(groups, is_judged, rates),
        measures={
            "demographic_parity_difference": _spread(selected),
            "demographic_parity_ratio": float(selected.min() / selected.max()) if selected.any() else math.nan,
            "equalized_odds_difference": float(np.max(odds)),
        },
    )


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
    is_judged = _judged_groups(groups, min_rows)
    return FairnessReport(
        attribute=groups.name,
        min_rows=min_rows,
        groups=_groups(groups, is_judged, scores),
        measures={f"{name}_difference": _spread(values[is_judged]) for name, values in scores.items()},
    )


def _judged_groups(groups: SlicedColumn, min_rows: int) -> list[bool]:
    """Return which of the groups have enough rows; none where but one has, since there is nothing to compare."""
    is_judged = [group.n_rows >= min_rows for group in groups.slices]
    return is_judged if sum(is_judged) > 1 else [False] * len(is_judged)


def _groups(
    groups: SlicedColumn, is_judged: Sequence[bool], scores: Mapping[str, NDArray[np.float64]]
) -> tuple[GroupFairness, ...]:
    """Return the groups with the scores of each.

    :param scores: by name, a number for each group.
    """
    return tuple(
        GroupFairness(
            name=group.name,
            n_rows=group.n_rows,
            is_judged=is_judged[place],
            scores={name: float(values[place]) for name, values in scores.items()},
        )
        for place, group in enumerate(groups.slices)
    )


def _spread(values: NDArray[np.float64]) -> float:
    """Return how far the largest is from the smallest; NaN when one is NaN, or when there is none."""
    return float(np.ptp(values)) if len(values) else math.nan
