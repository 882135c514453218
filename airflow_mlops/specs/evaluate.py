"""What is evaluated, and when a challenger is good enough."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.errors import did_you_mean
from airflow_mlops.specs._base import Spec
from airflow_mlops.specs.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Direction

__all__ = ["FairnessRules", "GateSpec", "SliceRules", "Thresholds", "check_metrics", "check_task", "task_of"]

FairnessMeasure = Literal[
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "mean_error_difference",
    "mean_absolute_error_difference",
]


class Thresholds(Spec):
    """What one metric must reach, in the metric's own unit.

    :param value_threshold: the worst value that is still good enough.
    :param change_threshold: by how much the challenger may be worse than the champion, as a non-inferiority
        margin that the whole interval of the difference must respect. 0, the default: not worse at all;
        negative: it must be better by that much (superiority); ``None``: the champion's value does not matter.
    :param relative_change_threshold: the same as a fraction of the champion's value, in place of
        ``change_threshold``. Where that value is 0, nothing is a fraction of it, and the gate can't decide.
    :param baseline_change_threshold: the same against the naive baseline. The first metric has to be better than it in
        any case.
    :param direction: of a function of your own; the package knows that of its own metrics.
    """

    value_threshold: float | None = None
    change_threshold: float | None = 0.0
    relative_change_threshold: float | None = None
    baseline_change_threshold: float | None = None
    direction: Direction | None = None

    @field_validator("value_threshold", "change_threshold", "relative_change_threshold", "baseline_change_threshold")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise ValueError("a threshold that is NaN or infinite decides nothing")
        return value

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.relative_change_threshold is not None:
            if "change_threshold" in self.model_fields_set and self.change_threshold is not None:
                raise ValueError("`change_threshold` and `relative_change_threshold` are two answers to one question")
            object.__setattr__(self, "change_threshold", None)
        elif self.value_threshold is None and self.change_threshold is None and self.baseline_change_threshold is None:
            raise ValueError("give `value_threshold`, `change_threshold` or both")
        return self


class SliceRules(Spec):
    """What no slice of the held-out rows may lose.

    :param columns: whose values (of numbers: intervals) are slices. With ``worst``, none need be given.
    :param worst: how many more slices are looked for by themselves, over one and two features, where the challenger's
        error is worst. They are shown, and judged as the others.
    :param min_rows: smaller slices are left out.
    :param change_threshold: by how much the challenger may be worse than the champion in a slice, in the unit of the
        gate's first metric; ``None``: slices are shown and not judged.
    :param relative_change_threshold: the same as a fraction of the champion's value in the slice.
    :param evidence: ``shown_worse`` rejects when a slice is shown to be worse than allowed; ``shown_not_worse`` blesses
        only when every slice is shown to be no worse, for which small slices rarely have rows enough. Either by
        intervals that hold for all slices at once.
    """

    columns: tuple[str, ...] = ()
    worst: int = Field(default=5, ge=0, le=50)
    min_rows: int = Field(default=200, ge=10)
    change_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    relative_change_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    evidence: Literal["shown_worse", "shown_not_worse"] = "shown_worse"

    @field_validator("columns", mode="before")
    @classmethod
    def _as_names(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @model_validator(mode="after")
    def _one_margin(self) -> Self:
        if self.change_threshold is not None and self.relative_change_threshold is not None:
            raise ValueError("`change_threshold` and `relative_change_threshold` are two answers to one question")
        if not self.columns and not self.worst:
            raise ValueError("there is no slice: name `columns`, or let the `worst` be found")
        return self


def check_metrics(metrics: dict[str, Thresholds]) -> dict[str, Thresholds]:
    """Return metrics by name, all of them known or functions, and none of classes beside one of numbers.

    :raises ValueError: when they are not.
    """
    known = (*REGRESSION_METRICS, *CLASSIFICATION_METRICS)
    for name, thresholds in metrics.items():
        is_function = name not in known and re.search(r".[.:].", name)
        if name not in known and not is_function:
            raise ValueError(
                f"there is no metric {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}; or the import "
                f"path of a function"
            )
        if is_function and thresholds.direction is None:
            raise ValueError(f"{name}: say its `direction`, higher_is_better or lower_is_better")
        if not is_function and thresholds.direction is not None:
            raise ValueError(f"{name}: its `direction` is known, leave it out")
    of_numbers = [name for name in metrics if name in REGRESSION_METRICS]
    of_classes = [name for name in metrics if name in CLASSIFICATION_METRICS]
    if of_numbers and of_classes:
        raise ValueError(f"{of_numbers[0]} is of numbers and {of_classes[0]} of classes; a target is one of them")
    return metrics


def task_of(metrics: Iterable[str]) -> Literal["regression", "classification"] | None:
    """Return what metrics are of; ``None`` where all of them are functions, which does not say."""
    names = set(metrics)
    if names & set(REGRESSION_METRICS):
        return "regression"
    return "classification" if names & set(CLASSIFICATION_METRICS) else None


def check_task(metrics: Iterable[str], task: Literal["regression", "classification"] | None, why: str) -> None:
    """See that the metrics of ``performance`` fit a target.

    :param task: what the target is for; ``None``: nobody knows yet.
    :param why: how that is known, in words.
    :raises ValueError: when they do not, with those that would.
    """
    of_metrics = task_of(metrics)
    if None in (task, of_metrics) or task == of_metrics:
        return
    ours, known = ("numbers", REGRESSION_METRICS) if task == "regression" else ("classes", CLASSIFICATION_METRICS)
    unfit = next(name for name in metrics if task_of([name]) == of_metrics)
    raise ValueError(
        f"performance.metrics.{unfit} is of {'classes' if ours == 'numbers' else 'numbers'}, but {why} {ours}. Take a "
        f"metric of {ours}: {', '.join(known)}; or a function of yours."
    )


class FairnessRules(Spec):
    """How different a model may be to people who differ in a protected attribute.

    :param attributes: the columns. They need not be features.
    :param limits: the worst value of each measure that is still good enough, such as
        ``{"demographic_parity_difference": 0.1}``; empty: it is shown and not judged.
    :param min_rows: smaller groups are shown and not judged.
    """

    attributes: tuple[str, ...] = Field(min_length=1)
    limits: dict[FairnessMeasure, float] = Field(default_factory=dict)
    min_rows: int = Field(default=100, ge=2)

    @field_validator("attributes", mode="before")
    @classmethod
    def _as_names(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @field_validator("limits")
    @classmethod
    def _finite(cls, limits: dict[FairnessMeasure, float]) -> dict[FairnessMeasure, float]:
        if not all(math.isfinite(limit) for limit in limits.values()):
            raise ValueError("a limit that is NaN or infinite decides nothing")
        return limits


class GateSpec(Spec):
    """The rules by which a challenger is blessed, rejected or found undecidable.

    :param metrics: thresholds by metric: :data:`~airflow_mlops.specs.metrics.MetricName`, or the import path of a
        function of your own, ``metric(y_true, y_pred)``, which gives one number, or one for each row. The first metric
        is also the one that must beat the baseline, and the one that slices are compared by.
    :param baseline: the naive prediction that every blessed model must beat: ``mean`` or ``median`` of the
        training target, its ``most_frequent`` class (with the classes' shares as probabilities), or the value of a
        ``column`` of the same row (for a time series: the last value known). ``auto``: ``mean`` or ``most_frequent``.
    :param baseline_column: that column.
    :param positive_class: of two classes the one that precision, recall and such are of; by default the second one in
        their order.
    :param slices: what no slice may lose. By default the worst five are looked for, and shown; ``None``: none.
    :param fairness: how different the model may be to groups of people.
    :param cold_start: whether a first version may be blessed when there is no champion to compare with.
    :param allow_signature_change: whether a challenger may ask for columns, or types of them, that the champion does
        not ask for, which breaks whoever calls it.
    :param min_rows: fewer held-out rows than this are inconclusive.
    :param confidence_level: of the two-sided interval of a difference.
    :param n_resamples: bootstrap replicates.
    :param block_length: rows that are resampled together, more than 1 where neighbouring rows depend on
        each other.
    :param resample_by: the column whose groups are resampled whole, where the rows of a group depend on each other.
    :param stratified: whether classes keep their shares in every replicate.
    :param seed: of the bootstrap.
    :param on_inconclusive: what becomes of a challenger that could not be decided: ``keep`` the champion, or ``ask`` a
        person, in Airflow, who then answers for it.
    :param on_rejection: ``skip``: a normal end of the run, with the reasons; ``fail``: the task fails.
    """

    metrics: dict[str, Thresholds] = Field(min_length=1)
    baseline: Literal["auto", "mean", "median", "most_frequent", "column"] = "auto"
    baseline_column: str | None = None
    positive_class: str | int | bool | None = None
    slices: SliceRules | None = Field(default_factory=SliceRules)
    fairness: FairnessRules | None = None
    cold_start: bool = False
    allow_signature_change: bool = False
    min_rows: int = Field(default=50, ge=2)
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    n_resamples: int = Field(default=2000, ge=200)
    block_length: int = Field(default=1, ge=1)
    resample_by: str | None = Field(default=None, min_length=1)
    stratified: bool = False
    seed: int = 0
    on_inconclusive: Literal["keep", "ask"] = "keep"
    on_rejection: Literal["skip", "fail"] = "skip"

    @field_validator("metrics")
    @classmethod
    def _are_known(cls, metrics: dict[str, Thresholds]) -> dict[str, Thresholds]:
        return check_metrics(metrics)

    @model_validator(mode="after")
    def _has_a_fitting_baseline(self) -> Self:
        of_numbers = [name for name in self.metrics if name in REGRESSION_METRICS]
        of_classes = [name for name in self.metrics if name in CLASSIFICATION_METRICS]
        if (self.baseline == "column") != (self.baseline_column is not None):
            raise ValueError("`baseline: column` and `baseline_column` go together")
        fitting = ("mean", "median") if of_numbers else ("most_frequent",)
        if (of_numbers or of_classes) and self.baseline not in ("auto", "column", *fitting):
            first = (of_numbers or of_classes)[0]
            raise ValueError(
                f"{self.baseline} is no baseline that {first} could be held against; use "
                f"{' or '.join(fitting)}, or column"
            )
        return self

    @model_validator(mode="after")
    def _resamples_one_way(self) -> Self:
        given = [
            name
            for name, is_given in (
                ("block_length", self.block_length > 1),
                ("resample_by", bool(self.resample_by)),
                ("stratified", self.stratified),
            )
            if is_given
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(f'`{name}`' for name in given)} each say what is resampled: keep one")
        return self

    @property
    def task(self) -> Literal["regression", "classification"] | None:
        """What the metrics are of; ``None`` where all of them are functions, which does not say."""
        return task_of(self.metrics)
