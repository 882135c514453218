"""Models that can be told apart, that take their time, or that fail."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

TOUCHY, STRANGER, PATIENT = 3, 4, 5
"""Their versions."""

TRUSTED = tuple(f"tests.server.models.{name}" for name in ("Patient", "Stranger", "Touchy"))


class Patient(RegressorMixin, BaseEstimator):
    """Predicts ``x``, and takes as many seconds."""

    def fit(self, X: Any, y: Any) -> Patient:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        seconds = np.asarray(X)[:, 0].astype(float)
        if seconds.max() == float("inf"):
            threading.Event().wait()
        time.sleep(max(seconds.max(), 0.0))
        return seconds


class Touchy(Patient):
    """Fails at negative numbers."""

    def predict(self, X: Any) -> Any:
        x = np.asarray(X)[:, 0].astype(float)
        if x.min() < 0:
            raise ZeroDivisionError(f"s3cret {x.min()}")
        return x * 1000


class Stranger(Patient):
    """A type that nobody trusts."""
