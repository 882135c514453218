"""What a classifier's performance would be without labels, if its probabilities still mean what they meant.

Confidence-based performance estimation (CBPE: NannyML's documentation, *Estimation of Performance of the Monitored
Model*; Bialek, Kuberski, Perrakis and Bifet, *Estimating Model Performance Under Covariate Shift Without Labels*,
2024). Scores are calibrated on rows with a known truth; a row whose calibrated probability of being positive is ``p``
then counts as ``p`` positive rows and ``1 - p`` negative ones. The estimate follows a change of the rows. It can't see
a change of what they mean (concept shift): for that the probabilities would have to know of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.stats.metrics import METRICS

__all__ = ["Calibrator", "expected_metrics", "expected_roc_auc"]

Floats = NDArray[np.float64]

_OF_COUNTS = {str(name): metric for name, metric in METRICS.items() if metric.sums is METRICS["accuracy"].sums}
"""The metrics that a confusion matrix gives."""


@dataclass(frozen=True, kw_only=True)
class Calibrator:
    """A rising curve from scores to probabilities, straight between its points and level beyond them.

    :param scores: ``(n_points,) float64``, rising.
    :param probabilities: ``(n_points,) float64`` in [0, 1], not falling.
    """

    scores: Floats
    probabilities: Floats

    def of(self, scores: Floats) -> Floats:
        """Return the probabilities of some scores."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities))


def expected_metrics(
    names: Iterable[str], *, predicted: NDArray[np.integer], scores: Floats, probabilities: Floats
) -> dict[str, float]:
    """Return the expected value of each metric that a confusion matrix or ranks give; the others are left out.

    With ``p`` the calibrated probability, the expected counts are ``TP = sum(p)`` and ``FP = sum(1 - p)`` over the rows
    that are predicted positive, ``FN = sum(p)`` and ``TN = sum(1 - p)`` over the others.

    :param predicted: ``(n_rows,)``, 0 or 1.
    :param scores: ``(n_rows,) float64``, by which the rows are ranked.
    :param probabilities: ``(n_rows,) float64``, of being positive, calibrated.

    >>> said, p = np.array([1, 1, 0, 0]), np.array([0.9, 0.7, 0.4, 0.0])
    >>> found = expected_metrics(["accuracy", "recall", "roc_auc"], predicted=said, scores=p, probabilities=p)
    >>> {name: round(value, 3) for name, value in found.items()}
    {'accuracy': 0.8, 'recall': 0.8, 'roc_auc': 0.875}
    """
    # The expected confusion counts stand where the counted ones do, so that the same metrics read them.
    by_class = np.stack([1 - probabilities, probabilities], axis=1)
    hit = [by_class[predicted == each, each].sum() for each in (0, 1)]
    means = np.array([*hit, *np.bincount(predicted, minlength=2), *by_class.sum(axis=0)]) / max(len(predicted), 1)
    found = {}
    for name in names:
        if name in _OF_COUNTS:
            with np.errstate(all="ignore"):
                found[name] = float(_OF_COUNTS[name].of_means(means))
        elif name == "roc_auc":
            found[name] = expected_roc_auc(scores, probabilities)
    return found


def expected_roc_auc(scores: Floats, probabilities: Floats) -> float:
    """Return the area under the curve that the expected true and false positive rates make over all thresholds.

    :param scores: ``(n_rows,) float64``; rows of equal score are one step, as in the usual area.
    :param probabilities: ``(n_rows,) float64``, of being positive.
    :returns: NaN where one of the classes is not expected at all.
    """
    # Each row is p of a positive and 1 - p of a negative; rows of equal score are one step of the curve.
    ranked, which = np.unique(-scores, return_inverse=True)
    positive = np.bincount(which, weights=probabilities, minlength=len(ranked))
    negative = np.bincount(which, weights=1 - probabilities, minlength=len(ranked))
    if not positive.sum() or not negative.sum():
        return float("nan")
    # Of the positives at the same score half count as above, as ties do in the area.
    above = np.cumsum(positive) - positive / 2
    return float((above * negative).sum() / positive.sum() / negative.sum())
