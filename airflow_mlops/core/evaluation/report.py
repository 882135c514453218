"""What an evaluation finds: challenger, champion and a naive baseline on the same held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.profile import ColumnProfile
from airflow_mlops.core.evaluation.fairness import FairnessReport
from airflow_mlops.core.evaluation.importance import FeatureImportance, ImportanceChange
from airflow_mlops.core.evaluation.timeline import ErrorTimeline
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.specs.metrics import Direction

__all__ = [
    "ClassScores",
    "EvaluationReport",
    "MetricComparison",
    "SliceComparison",
    "check_predictions",
    "check_scores",
    "digest_of_question",
    "naive_prediction",
    "signature_breaks",
]


_WIDENED = {"integer": ("long", "float", "double"), "long": ("double",), "float": ("double",)}
"""The types that MLflow's server takes as well, where another is given."""


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """One metric of the challenger, the champion and the naive baseline on the same rows.

    :param metric: its name, or the import path of the function that it is.
    :param champion: ``None`` where there is no champion, or it could not be scored.
    """

    metric: str
    direction: Direction
    challenger: float
    baseline: float
    champion: float | None = None
    against_baseline: Interval
    against_champion: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class SliceComparison:
    """The gate's first metric on a slice of the rows.

    :param name: what the rows of the slice have in common.
    :param against_champion: with an interval that holds for all slices at once.
    :param is_found: whether nobody asked for it: it was found to be among the worst.
    """

    name: str
    n_rows: int
    challenger: float
    champion: float | None = None
    against_champion: Interval | None = None
    is_found: bool = False


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How well one class is told from the others. NaN where nothing was predicted, or nothing true."""

    label: str
    n_rows: int
    precision: float
    recall: float
    champion_precision: float | None = None
    champion_recall: float | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationReport(Value):
    """The evidence that a gate decides on.

    :param champion_version: the champion at the time of the evaluation, ``None`` for a cold start.
    :param champion_error: why the champion could not be scored, where it could not.
    :param question_digest: of what was asked, see :func:`digest_of_question`.
    :param resampled: what was resampled for the intervals, in words.
    :param n_units: how many of them there were.
    :param slices: the gate's first metric by slice, the worst first.
    :param classes: how well each class is told, where classes are predicted; at most 50.
    :param signature_breaks: what the challenger asks for and the champion does not, which breaks those who call it.
    :param fairness: how the challenger treats the groups of each protected attribute.
    :param timeline: the errors by time, where the rows have a timestamp.
    :param importance: what the challenger's accuracy, or mean absolute error, loses without each feature.
    :param importance_changes: the features that it relies on more, or less, than the champion.
    :param predictions: profiles of what the challenger said of these rows, and of its scores where a metric asked for
        them: what its predictions are compared with once it serves, by the names of the inference log's columns.
    :param calibration_errors: the expected calibration error by model, of probabilities of two classes.
    """

    model_name: str
    challenger_uri: str
    challenger_digest: str
    champion_version: int | None
    champion_error: str | None = None
    split_digest: str
    n_rows: int
    task: Literal["regression", "classification"] = "regression"
    baseline: str
    confidence_level: float
    question_digest: str = ""
    resampled: str = "rows"
    n_units: int = 0
    comparisons: tuple[MetricComparison, ...]
    slices: tuple[SliceComparison, ...] = ()
    classes: tuple[ClassScores, ...] = ()
    signature_breaks: tuple[str, ...] = ()
    fairness: tuple[FairnessReport, ...] = ()
    timeline: ErrorTimeline | None = None
    importance: tuple[FeatureImportance, ...] = ()
    importance_changes: tuple[ImportanceChange, ...] = ()
    predictions: tuple[ColumnProfile, ...] = ()
    calibration_errors: dict[str, float] = field(default_factory=dict)
    report_uri: str = ""


def digest_of_question(gate: GateSpec) -> str:
    """Return the identity of what an evaluation is asked by a gate; what the answers must be is no part of it."""
    how = {"baseline", "baseline_column", "positive_class", "confidence_level", "n_resamples", "block_length"}
    asked = gate.model_dump(mode="json", include=how | {"resample_by", "stratified", "seed"})
    slices = gate.slices and gate.slices.model_dump(mode="json", include={"columns", "worst", "min_rows"})
    fairness = gate.fairness and gate.fairness.model_dump(mode="json", include={"attributes", "min_rows"})
    return digest_of([list(gate.metrics), asked, slices, fairness])


def signature_breaks(*, champion: Mapping[str, str], challenger: Mapping[str, str]) -> tuple[str, ...]:
    """Say what a challenger asks for that those who call the champion do not give.

    :param champion: its columns with their types, in MLflow's words; a column without a type is not compared.
    :param challenger: the same of the challenger.

    >>> signature_breaks(champion={"age": "long"}, challenger={"age": "double", "name": "string"})
    ("it asks for column 'name'",)
    >>> signature_breaks(champion={"age": "double"}, challenger={"age": "long"})
    ("it asks for long in column 'age', where the champion takes double",)
    """
    breaks = [f"it asks for column {name!r}" for name in challenger if name not in champion]
    for name, kind in challenger.items():
        given = champion.get(name)
        if given and kind not in (given, *_WIDENED.get(given, ())):
            breaks.append(f"it asks for {kind} in column {name!r}, where the champion takes {given}")
    return tuple(breaks)


def check_predictions(who: str, y_pred: NDArray[np.generic], n_rows: int) -> NDArray[np.generic]:
    """Return the predictions, one for each row.

    :param who: whose they are, for the message.
    :param y_pred: ``(n_rows,)`` or ``(n_rows, 1)``, of numbers or labels.
    :raises EvaluationError: when their number is wrong, or one is NaN or infinite.
    """
    values = np.asarray(y_pred)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n_rows,):
        raise EvaluationError(f"{who} gave predictions of shape {values.shape} for {n_rows} rows.")
    if np.issubdtype(values.dtype, np.number):
        bad = int((~np.isfinite(values.astype(float))).sum())
        if bad:
            raise EvaluationError(f"{who} predicted NaN or infinity for {bad} of {n_rows} rows.")
    return values


def check_scores(who: str, scores: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the probabilities of classes.

    :param scores: one row for each row, one column for each class.
    :raises EvaluationError: when they are of another shape, no numbers, outside of [0, 1], or do not add up to 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != shape:
        raise EvaluationError(f"{who} gave probabilities of shape {values.shape}; {shape} is rows by classes.")
    bad = int((~(np.isfinite(values) & (values >= 0) & (values <= 1 + 1e-6)).all(axis=1)).sum())
    if bad:
        raise EvaluationError(
            f"{who} gave probabilities that are none (NaN, or not in [0, 1]) in {bad} of {shape[0]} rows."
        )
    odd = int((np.abs(values.sum(axis=1) - 1) > 1e-3).sum())
    if odd:
        raise EvaluationError(f"{who} gave probabilities that do not add up to 1 in {odd} of {shape[0]} rows.")
    return values


def naive_prediction(strategy: Literal["mean", "median"], y_train: NDArray[np.generic]) -> float:
    """Return the number that is predicted for every row, by the training target alone.

    >>> naive_prediction("median", np.array([1.0, 2.0, 9.0]))
    2.0
    """
    numbers = y_train.astype(float)
    return float(numbers.mean() if strategy == "mean" else np.median(numbers))
