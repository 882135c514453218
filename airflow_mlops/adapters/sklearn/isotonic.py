"""scikit-learn: scores become probabilities by isotonic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from airflow_mlops.core.monitoring.estimate import Calibrator

__all__ = ["fit_calibrator"]


def fit_calibrator(scores: NDArray[np.float64], outcomes: NDArray[Any]) -> Calibrator:
    """Fit the rising curve that is closest to what happened (Zadrozny and Elkan, 2002).

    :param scores: ``(n_rows,) float64``, at least one.
    :param outcomes: ``(n_rows,) bool``, whether that which the score is of was true.

    >>> fit_calibrator(np.array([0.1, 0.2, 0.9]), np.array([False, True, True])).of(np.array([0.0, 0.15, 1.0]))
    array([0. , 0.5, 1. ])
    """
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, outcomes.astype(np.float64))
    return Calibrator(scores=fitted.X_thresholds_, probabilities=fitted.y_thresholds_)
