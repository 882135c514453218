"""scikit-learn: the scorers that trials are judged by."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names

from airflow_mlops.errors import EvaluationError, SpecError, did_you_mean

__all__ = ["Scorer", "make_scorer"]

Scorer = Callable[[Any, Any, Any], float]
"""Scores a fitted model on features and target; higher is better."""


def make_scorer(metric: str) -> Scorer:
    """Return the scorer of this name.

    It raises :class:`EvaluationError` when the model can't be scored, or the score is NaN or infinite.

    :raises SpecError: when there is no such scorer.
    """
    known = get_scorer_names()
    if metric not in known:
        raise SpecError(
            f"tuning.metric {metric!r} is not one of scikit-learn's scorers.{did_you_mean(metric, known)} Nothing was "
            f"tried. Errors have `neg_` before their name, so that higher is better in all of them."
        )
    scorer = get_scorer(metric)

    def score(model: Any, features: Any, target: Any) -> float:
        try:
            found = float(scorer(_as_estimator(model), features, target))
        except Exception as error:
            raise EvaluationError(f"{metric} can't be computed: {type(error).__name__}: {error}") from error
        if not math.isfinite(found):
            raise EvaluationError(f"{metric} is {found} for {len(target)} rows; a finite number is required")
        return found

    return score


def _as_estimator(model: Any) -> Any:
    """Return what scikit-learn's scorers take; what a user's own function gives may be any object with ``predict``."""
    if isinstance(model, BaseEstimator):
        return model
    return _Classifier(model) if hasattr(model, "predict_proba") else _Model(model)


class _Model(BaseEstimator):  # type: ignore[misc]  # scikit-learn's classes are untyped
    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, features: Any) -> Any:
        return self.model.predict(features)


class _Classifier(ClassifierMixin, _Model):  # type: ignore[misc]
    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def predict_proba(self, features: Any) -> Any:
        return self.model.predict_proba(features)
