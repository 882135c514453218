"""The names of metrics, and what they are of."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "CLASSIFICATION_METRICS",
    "REGRESSION_METRICS",
    "ClassificationMetric",
    "Direction",
    "MetricName",
    "RegressionMetric",
]

Direction = Literal["higher_is_better", "lower_is_better"]

RegressionMetric = Literal[
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "r2",
]
ClassificationMetric = Literal[
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "f1_macro",
    "matthews_corrcoef",
    "log_loss",
    "brier_score",
    "roc_auc",
    "average_precision",
]
MetricName = RegressionMetric | ClassificationMetric

REGRESSION_METRICS: tuple[RegressionMetric, ...] = get_args(RegressionMetric)
CLASSIFICATION_METRICS: tuple[ClassificationMetric, ...] = get_args(ClassificationMetric)
