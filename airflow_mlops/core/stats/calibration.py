"""Calibration: whether what is predicted with 30 % happens in 30 % of the cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.errors import EvaluationError

__all__ = ["Calibration", "CalibrationBin", "measure_calibration"]

_N_PARTS = 20


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Rows of neighbouring scores.

    :param mean_score: the mean of what was predicted.
    :param observed_fraction: how many of them are of the positive class, in [0, 1].
    """

    n_rows: int
    mean_score: float
    observed_fraction: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far predicted probabilities are from what happened.

    :param bins: by rising score.
    :param expected_error: the expected calibration error, in [0, 1]; 0 is perfect.
    :param brier_score: the mean squared error of the probabilities; 0 is perfect.
    :param reliability: how far the bins are from what happened; lower is better.
    :param resolution: how far the bins are from each other; higher is better.
    :param uncertainty: the variance of the class, whatever the model.
    :param score_counts: how many scores are in each of twenty equal parts of [0, 1].
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    brier_score: float
    reliability: float
    resolution: float
    uncertainty: float
    score_counts: tuple[int, ...]


def measure_calibration(y_true: NDArray[np.bool_], y_score: NDArray[np.float64], *, n_bins: int = 15) -> Calibration:
    r"""Compare predicted probabilities with what happened, in bins of about equally many rows.

    The expected calibration error :math:`\sum_b \frac{n_b}{n} |\bar y_b - \bar p_b|` is that of Naeini, Cooper and
    Hauskrecht (2015), with the bins of equal counts that Nixon et al. (2019) recommend; equal scores are in one bin.
    The Brier score is parted after Murphy (1973). It is reliability - resolution + uncertainty if all scores of a bin
    are equal, and differs from that by what is left of them within the bins.

    :param y_true: ``(n_rows,) bool``, whether the row is of the positive class.
    :param y_score: ``(n_rows,) float64``, predicted probabilities of that class.
    :raises EvaluationError: when there is no row, or a score is not in [0, 1].

    >>> rng = np.random.default_rng(0)
    >>> score = rng.uniform(size=20_000)
    >>> y_true = rng.uniform(size=20_000) < score**2
    >>> [round(measure_calibration(y_true, each).expected_error, 2) for each in (score, score**2)]
    [0.17, 0.01]
    """
    if not len(y_score) or not ((y_score >= 0) & (y_score <= 1)).all():
        raise EvaluationError(
            f"Calibration needs probabilities in [0, 1], at least one; found {len(y_score)} scores"
            + (f" from {y_score.min():.4g} to {y_score.max():.4g}." if len(y_score) else ".")
        )
    # Bins of equal counts; equal quantiles are one edge, so that equal scores never fall into two bins.
    edges = np.unique(np.quantile(y_score, np.arange(1, n_bins) / n_bins))
    # Of each bin the mean prediction and the share of positives: a calibrated model has both alike.
    places = np.searchsorted(edges, y_score, side="right")
    counts = np.bincount(places)
    is_used = counts > 0
    counts = counts[is_used]
    score = np.bincount(places, weights=y_score)[is_used] / counts
    observed = np.bincount(places, weights=y_true)[is_used] / counts
    # Murphy's terms weigh bins by their rows: distance of the bins from the truth, and from the base rate.
    weights, base_rate = counts / len(y_score), float(np.mean(y_true))
    found = zip(counts.tolist(), score.tolist(), observed.tolist(), strict=True)
    return Calibration(
        bins=tuple(CalibrationBin(n_rows=n, mean_score=s, observed_fraction=o) for n, s, o in found),
        expected_error=float(np.sum(weights * np.abs(observed - score))),
        brier_score=float(np.mean(np.square(y_score - y_true))),
        reliability=float(np.sum(weights * np.square(observed - score))),
        resolution=float(np.sum(weights * np.square(observed - base_rate))),
        uncertainty=base_rate * (1 - base_rate),
        score_counts=tuple(np.histogram(y_score, bins=_N_PARTS, range=(0, 1))[0].tolist()),
    )
