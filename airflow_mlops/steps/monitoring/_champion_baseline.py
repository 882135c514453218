"""A version as it was at its blessing: scored again on the rows that were held out then."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.sklearn import labels
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.monitoring.estimate import Calibrator, expected_metrics
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import logged_scores
from airflow_mlops.core.stats.metrics import Metric, Predicted, value_of
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import EvaluationError, IntegrityError, SpecError
from airflow_mlops.specs.evaluate import GateSpec, check_task
from airflow_mlops.specs.performance import MIN_BLOCKS, PerformanceSpec
from airflow_mlops.steps.evaluation.evaluate import metrics_of
from airflow_mlops.steps.evaluation.predictions import Predictions, predict_all
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import read_evidence
from airflow_mlops.steps.registry.training_record import load_record

__all__ = ["Reference", "score_reference"]

_SAME = 1e-3
"""A metric may come out so differently, in parts of its size, where another processor computes it."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a version said of the rows that were held out at its blessing.

    :param baseline_column: the feature that the naive baseline is; ``None``: it is the same for all rows.
    :param second: the place among the classes of the one that a logged score is of; ``None`` where a score is of the
        class that was chosen, or there is none.
    :param calibrator: from logged scores to probabilities; ``None`` where nothing can be estimated.
    """

    evaluation: EvaluationReport
    frame: Any
    predictions: Predictions
    metrics: dict[str, Metric]
    baseline_column: str | None
    second: int | None
    calibrator: Calibrator | None

    @property
    def classes(self) -> NDArray[Any] | None:
        """The labels that are told apart; ``None`` for numbers."""
        return self.predictions.classes

    @property
    def n_classes(self) -> int:
        """How many there are; 0 for numbers."""
        return 0 if self.classes is None else len(self.classes)

    @property
    def needs_scores(self) -> bool:
        """Whether a metric wants probabilities."""
        return any(metric.needs_scores for metric in self.metrics.values())

    def predicted(self, values: NDArray[Any], logged: NDArray[np.float64]) -> Predicted:
        """Return predictions of the log as metrics take them.

        :param logged: ``(n_rows,) float64``, the scores as they were logged.
        """
        if self.second is None or not self.needs_scores:
            return Predicted(values=values)
        columns = (1 - logged, logged) if self.second == 1 else (logged, 1 - logged)
        return Predicted(values=values, scores=np.stack(columns, axis=1))

    def estimate(self, values: NDArray[Any], logged: NDArray[np.float64]) -> dict[str, float]:
        """Return the metrics that are expected without a label, of rows that have a score."""
        if self.calibrator is None:
            return {}
        scored = np.isfinite(logged)
        values, logged = values[scored], logged[scored]
        if not len(values):
            return {}
        probabilities = self.calibrator.of(logged)
        if self.second is None:  # what is known is how likely the chosen class is
            return {"accuracy": float(probabilities.mean())} if "accuracy" in self.metrics else {}
        if self.second == 0:
            logged, probabilities = 1 - logged, 1 - probabilities
        return expected_metrics(self.metrics, predicted=values, scores=logged, probabilities=probabilities)


def score_reference(version: ModelVersion, spec: PerformanceSpec, *, platform: Platform) -> Reference:
    """Score a version on the rows that were held out at its blessing, and see that it does as it did then.

    :raises SpecError: when a metric does not fit what the version predicts.
    :raises IntegrityError: when its record, its evidence, its rows or its files are not what was verified.
    :raises EvaluationError: when it can't predict the rows any more, does otherwise than then, or has no probabilities
        where a metric wants them.
    :raises UnavailableError: when MLflow or the storage does not answer.
    """
    evaluation = _read_evidence(version, platform)
    try:
        check_task(spec.metrics, evaluation.task, f"{version.model_name} v{version.model_version} predicts")
    except ValueError as error:
        raise SpecError(f"{error} Nothing was decided.") from error
    record, _ = load_record(version, platform=platform)
    is_column = evaluation.baseline not in ("mean", "median", "most_frequent")
    gate = GateSpec.parse(
        {
            "metrics": spec.metrics,
            "baseline": "column" if is_column else evaluation.baseline,
            "baseline_column": evaluation.baseline if is_column else None,
            "positive_class": spec.positive_class,
        }
    )
    split = record.split
    frame = arrow.read_frame(split.test.uri, split.test.digest)
    trained = _as_trained(version, record.training.target)
    try:
        predictions = predict_all(frame, trained, None, split=split, gate=gate, platform=platform)
    except EvaluationError as error:
        raise EvaluationError(
            f"{version.model_name} v{version.model_version} can't be scored on the rows that were held out at its "
            f"blessing, so there is nothing to compare production with: {error}"
        ) from error
    metrics = metrics_of(gate, predictions)
    reference = Reference(
        evaluation=evaluation,
        frame=frame,
        predictions=predictions,
        metrics=metrics,
        baseline_column=gate.baseline_column,
        second=None,
        calibrator=None,
    )
    _check_metrics(reference)
    _check_blocks(len(frame), spec)
    _check_same(reference, version)
    if not (spec.estimate or reference.needs_scores):
        return reference
    second, calibrator = _calibrate(predictions, frame)
    return replace(reference, second=second, calibrator=calibrator if spec.estimate else None)


def _read_evidence(version: ModelVersion, platform: Platform) -> EvaluationReport:
    try:
        return read_evidence(version.model_name, version.evidence_digest, storage=platform.storage)
    except IntegrityError as error:
        raise IntegrityError(
            f"{version.model_name} v{version.model_version}: the evidence in the storage is not the one that it was "
            f"blessed on. {error} Nothing was decided."
        ) from error


def _as_trained(version: ModelVersion, target: str) -> TrainedModel:
    return TrainedModel(
        model_name=version.model_name,
        run_id=version.run_id,
        model_uri=f"models:/{version.model_name}/{version.model_version}",
        model_digest=version.model_digest,
        fingerprint="",
        snapshot_digest=version.snapshot_digest,
        split_digest="",
        target=target,
        features=(),
        params={},
    )


def _check_metrics(reference: Reference) -> None:
    """See that each metric can be computed from what the log keeps."""
    n_classes, scores = reference.n_classes, reference.predictions.models["challenger"].scores
    for name, metric in reference.metrics.items():
        if metric.of_two_classes and n_classes != 2:
            raise SpecError(f"performance.metrics.{name} is of two classes, the target has {n_classes}. Take another.")
        if metric.needs_scores and (n_classes != 2 or scores is None):
            raise SpecError(
                f"performance.metrics.{name} wants the probabilities of all classes. The log keeps one for each row, "
                f"which is enough of two classes; the target has {n_classes}. Take accuracy or f1_macro."
            )


def _check_blocks(n_rows: int, spec: PerformanceSpec) -> None:
    if spec.block_length > 1 and n_rows < MIN_BLOCKS * spec.block_length:
        raise SpecError(
            f"performance.block_length {spec.block_length} makes {n_rows // spec.block_length} block(s) of the "
            f"{n_rows} rows that were held out at the blessing; an interval needs {MIN_BLOCKS}. Shorten it, or hold "
            f"back more."
        )


def _check_same(reference: Reference, version: ModelVersion) -> None:
    predictions, metrics = reference.predictions, reference.metrics
    for comparison in reference.evaluation.comparisons:
        if comparison.metric not in metrics:
            continue
        said = predictions.models["challenger"]
        value = value_of(metrics[comparison.metric], predictions.y_true, said, reference.n_classes)
        if not math.isclose(value, comparison.challenger, rel_tol=_SAME, abs_tol=1e-9):
            raise EvaluationError(
                f"{version.model_name} v{version.model_version} has {comparison.metric} {value:.6g} on the rows that "
                f"were held out at its blessing; it had {comparison.challenger:.6g} then. Nothing was decided. Give "
                f"performance.positive_class as the gate had it, and see that the libraries are those of then."
            )


def _calibrate(predictions: Predictions, frame: Any) -> tuple[int | None, Calibrator | None]:
    """Return which class a logged score is of, and what it is worth; nothing where the log has no score."""
    from airflow_mlops.adapters.sklearn.isotonic import fit_calibrator

    model = predictions.challenger
    scores = None if predictions.classes is None else model.scores(frame)
    if scores is None or model.classes is None or predictions.classes is None:
        return None, None
    codes, said = labels.codes_of(model.classes, predictions.classes), predictions.models["challenger"].values
    logged = logged_scores(scores, said, codes)
    if len(codes) != 2:
        return None, fit_calibrator(logged, said == predictions.y_true)
    if len(predictions.classes) != 2:
        return None, None
    second = int(codes[1])
    return second, fit_calibrator(logged, predictions.y_true == second)
