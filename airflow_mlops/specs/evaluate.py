"""When a challenger is good enough."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec

__all__ = ["GateSpec", "MetricName", "Thresholds"]

MetricName = Literal["mean_absolute_error", "root_mean_squared_error", "accuracy"]


class Thresholds(Spec):
    """What one metric must reach, in the metric's own unit.

    :param value_threshold: the worst value that is still good enough.
    :param change_threshold: by how much the challenger may be worse than the champion, as a non-inferiority
        margin that the whole interval of the difference must respect. 0, the default: not worse at all;
        negative: it must be better by that much; ``None``: the champion's value does not matter.
    """

    value_threshold: float | None = None
    change_threshold: float | None = 0.0

    @field_validator("value_threshold", "change_threshold")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError("a threshold that is NaN or infinite decides nothing")
        return value

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.value_threshold is None and self.change_threshold is None:
            raise ValueError("give `value_threshold`, `change_threshold` or both")
        return self


class GateSpec(Spec):
    """The rules by which a challenger is blessed, rejected or found undecidable.

    :param metrics: thresholds by metric. The first metric is also the one that must beat the baseline.
    :param baseline: the naive prediction that every blessed model must beat: ``mean`` or ``median`` of the
        training target, its ``most_frequent`` class, or the value of a ``column`` of the same row (for a
        time series: the last value known).
    :param baseline_column: that column.
    :param cold_start: whether a first version may be blessed when there is no champion to compare with.
    :param min_rows: fewer held-back rows than this are inconclusive.
    :param confidence_level: of the two-sided interval of a difference.
    :param n_resamples: bootstrap replicates.
    :param block_length: rows that are resampled together, more than 1 where neighbouring rows depend on
        each other.
    :param seed: of the bootstrap.
    """

    metrics: dict[MetricName, Thresholds] = Field(min_length=1)
    baseline: Literal["mean", "median", "most_frequent", "column"] = "mean"
    baseline_column: str | None = None
    cold_start: bool = False
    min_rows: int = Field(default=50, ge=2)
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    n_resamples: int = Field(default=2000, ge=200)
    block_length: int = Field(default=1, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _check_baseline(self) -> Self:
        if (self.baseline == "column") != (self.baseline_column is not None):
            raise ValueError("`baseline: column` and `baseline_column` go together")
        first = next(iter(self.metrics))
        of_labels = self.baseline == "most_frequent"
        if self.baseline != "column" and (first == "accuracy") != of_labels:
            fitting = "most_frequent" if first == "accuracy" else "mean or median"
            raise ValueError(
                f"{self.baseline} is no baseline that {first} could be held against; use {fitting}, or column"
            )
        return self
