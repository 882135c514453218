"""ROC and precision-recall curves, with as many points as a picture needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.errors import EvaluationError

__all__ = ["ScoreCurves", "score_curves"]

_N_POINTS = 400


@dataclass(frozen=True, kw_only=True)
class ScoreCurves:
    """Both curves of one model's scores, each from the highest threshold to the lowest.

    :param false_positive_rate: at each of the thresholds, from 0 to 1, as the next two.
    :param true_positive_rate: which is the recall, too.
    :param precision: 1 where nothing is selected.
    :param roc_auc: the area under the ROC curve, of all thresholds.
    :param average_precision: the mean precision over the steps of the recall, of all thresholds.
    """

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    precision: tuple[float, ...]
    roc_auc: float
    average_precision: float


def score_curves(y_true: NDArray[np.bool_], y_score: NDArray[np.float64]) -> ScoreCurves:
    """Return the curves over all thresholds; of many, 400 that are spread evenly along the ROC curve.

    The area is that of the trapezoids between thresholds, ties counting half (Fawcett, 2006, algorithm 2). The
    average precision is not interpolated (as scikit-learn defines it, after Davis and Goadrich, 2006).

    :param y_true: ``(n_rows,) bool``, whether the row is of the positive class.
    :param y_score: ``(n_rows,) float64``, the higher, the more positive.
    :raises EvaluationError: when there is but one class, or a score is NaN.

    >>> curves = score_curves(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> curves.roc_auc, round(curves.average_precision, 3)
    (0.75, 0.833)
    """
    n_positive = int(np.count_nonzero(y_true))
    n_negative = len(y_true) - n_positive
    if not n_positive or not n_negative:
        raise EvaluationError(f"All {len(y_true)} rows are of one class; a ROC curve needs rows of both.")
    if np.isnan(y_score).any():
        raise EvaluationError(f"The score of {int(np.isnan(y_score).sum())} of {len(y_score)} rows is NaN.")
    order = np.argsort(-y_score)
    ranked = y_score[order]
    is_last = np.append(ranked[1:] != ranked[:-1], True)  # of the rows with this score: ties are one threshold
    # Counts of what each threshold selects, of which both rates and the precision follow.
    true_positives = np.cumsum(y_true[order])[is_last]
    selected = np.flatnonzero(is_last) + 1
    # The threshold above all scores selects nothing: both rates are 0, and the precision is 1 by convention.
    recall = np.concatenate([[0.0], true_positives / n_positive])
    false_positive_rate = np.concatenate([[0.0], (selected - true_positives) / n_negative])
    precision = np.concatenate([[1.0], true_positives / selected])
    # Both rates rise, so their sum is a position along the curve; the areas below are of all thresholds.
    places = _spread(false_positive_rate + recall)
    return ScoreCurves(
        false_positive_rate=tuple(false_positive_rate[places].tolist()),
        true_positive_rate=tuple(recall[places].tolist()),
        precision=tuple(precision[places].tolist()),
        roc_auc=float(np.trapezoid(recall, false_positive_rate)),
        average_precision=float(np.sum(np.diff(recall) * precision[1:])),
    )


def _spread(along: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return places that are evenly far from each other along a curve of length 2, first and last among them."""
    if len(along) <= _N_POINTS:
        return np.arange(len(along))
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], _N_POINTS)))
