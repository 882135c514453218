"""Evaluation: everybody predicts the same held-out rows, and every difference gets an interval."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.sklearn import labels
from airflow_mlops.adapters.user_code import load
from airflow_mlops.core.evaluation.report import EvaluationReport, digest_of_question, signature_breaks
from airflow_mlops.core.evaluation.score import class_scores, metric_of, score_models
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.stats.metrics import METRICS, Metric
from airflow_mlops.core.stats.resample import Units
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import EvaluationError, IntegrityError, SpecError, did_you_mean
from airflow_mlops.pages.evaluation import evaluation_page
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.steps.evaluation._evidence import Evidence, gather_evidence
from airflow_mlops.steps.evaluation._pictures import draw
from airflow_mlops.steps.evaluation.predictions import Predictions, predict_all
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion

__all__ = ["evaluate_model", "metrics_of"]

log = logging.getLogger(__name__)

_REPORT = "evaluation"


def evaluate_model(
    model: TrainedModel, split: DatasetSplit, gate: GateSpec, *, platform: Platform, run: PipelineRun
) -> EvaluationReport:
    """Score the challenger, the champion and a naive baseline on the same held-out rows.

    A champion that can't be scored does not fail the evaluation: the report says so, and the gate does not
    bless. A challenger that can't be scored does. A retry finds the report of an earlier try, so that the
    evidence of a promotion is never replaced by a comparison of the new champion with itself.

    :raises IntegrityError: when the model was not trained on this split, or stored bytes have changed.
    :raises EvaluationError: when the challenger can't predict the rows, or a metric does not fit them.
    """
    if model.split_digest != split.digest:
        raise IntegrityError(
            f"{model.model_uri} was trained on split {model.split_digest[:26]}…, not on {split.digest[:26]}…: "
            f"held-out rows of one may be training rows of the other. Nothing was evaluated."
        )
    champion = current_champion(model.model_name, platform=platform)
    earlier = _earlier_report(model, gate, champion, platform, run)
    if earlier:
        log.info("evaluation found from an earlier try: n_rows=%d", earlier.n_rows)
        return earlier
    frame = arrow.read_frame(split.test.uri, split.test.digest)
    _check_target(frame[model.target], model.target)
    predictions = predict_all(frame, model, champion, split=split, gate=gate, platform=platform)
    evidence = gather_evidence(predictions, frame, gate, timestamp=split.timestamp, target=model.target)
    uri = platform.report_uri(run, _REPORT)
    report = _score(predictions, evidence, frame, model, champion, split, gate, report_uri=uri)
    metrics = _metrics(report)
    pictures = draw(predictions, evidence, target=model.target) if platform.draws else {}
    page = evaluation_page(report, pictures)
    platform.mlflow.log_metrics(model.run_id, metrics)
    platform.mlflow.log_texts(model.run_id, {f"{_REPORT}/{name}.svg": svg for name, svg in pictures.items()})
    platform.mlflow.log_texts(model.run_id, {f"{_REPORT}/{_REPORT}.html": page})
    platform.record(run, _REPORT, report, page)
    log.info("evaluated: n_rows=%d champion=%s %s", report.n_rows, report.champion_version, metrics)
    return report


def _score(
    predictions: Predictions,
    evidence: Evidence,
    frame: Any,
    model: TrainedModel,
    champion: ModelVersion | None,
    split: DatasetSplit,
    gate: GateSpec,
    *,
    report_uri: str,
) -> EvaluationReport:
    rng = np.random.default_rng(gate.seed)
    units = _units(predictions, frame, gate, rng)
    classes = predictions.classes
    comparisons, slices = score_models(
        y_true=predictions.y_true,
        models=predictions.models,
        metrics=metrics_of(gate, predictions),
        units=units,
        rng=rng,
        slices=evidence.slices,
        n_classes=0 if classes is None else len(classes),
        confidence_level=gate.confidence_level,
        n_resamples=gate.n_resamples,
    )
    names = () if classes is None else [str(each) for each in classes.tolist()]
    return EvaluationReport(
        model_name=model.model_name,
        challenger_uri=model.model_uri,
        challenger_digest=model.model_digest,
        champion_version=champion.model_version if champion else None,
        champion_error=predictions.champion_error,
        split_digest=split.digest,
        n_rows=len(frame),
        task=predictions.task,
        baseline=gate.baseline_column or _baseline_name(gate, predictions),
        confidence_level=gate.confidence_level,
        question_digest=digest_of_question(gate),
        resampled=units.kind,
        n_units=units.n_units,
        comparisons=comparisons,
        slices=slices,
        classes=class_scores(predictions.y_true, predictions.models, names) if names else (),
        signature_breaks=_signature_breaks(predictions),
        **evidence.fields(),
        predictions=predictions.profiles,
        report_uri=report_uri,
    )


def _check_target(target: Any, name: str) -> None:
    if not len(target):
        raise EvaluationError("No row was held out, so nothing can be compared. Raise split.test_fraction.")
    if target.isna().any():
        raise EvaluationError(f"The target {name!r} is null in held-out rows; nothing to compare with.")


def _units(predictions: Predictions, frame: Any, gate: GateSpec, rng: np.random.Generator) -> Units:
    """Return what the gate says is resampled."""
    if gate.block_length > 1:
        return Units.blocks(len(frame), length=gate.block_length)
    by = gate.resample_by
    if by:
        if by not in frame:
            raise SpecError(f"gate.resample_by {by!r} is not in the data.{did_you_mean(by, frame.columns)}")
        return Units.groups(labels.codes_by_appearance(frame[by].to_numpy()), name=by, rng=rng)
    if gate.stratified:
        if predictions.classes is None:
            raise SpecError("gate.stratified is for classes, and the target is a number. Leave it out.")
        return Units.within(predictions.y_true, rng=rng)
    return Units.rows(len(frame), rng=rng)


def metrics_of(gate: GateSpec, predictions: Predictions) -> dict[str, Metric]:
    """Return the gate's metrics by name; those that are no names of ours are functions of the user's."""
    known: dict[str, Metric] = {str(name): metric for name, metric in METRICS.items()}
    return {
        name: known.get(name)
        or metric_of(load.load_object(name), name, thresholds.direction or "lower_is_better", predictions.classes)
        for name, thresholds in gate.metrics.items()
    }


def _baseline_name(gate: GateSpec, predictions: Predictions) -> str:
    if gate.baseline != "auto":
        return gate.baseline
    return "mean" if predictions.task == "regression" else "most_frequent"


def _signature_breaks(predictions: Predictions) -> tuple[str, ...]:
    """Say what the challenger asks for that callers of the champion do not give."""
    if predictions.champion is None:
        return ()
    return signature_breaks(champion=predictions.champion.types, challenger=predictions.challenger.types)


def _earlier_report(
    model: TrainedModel, gate: GateSpec, champion: ModelVersion | None, platform: Platform, run: PipelineRun
) -> EvaluationReport | None:
    """Return this run's report, if it answers the same question, of the same model and champion."""
    path = platform.report_path(run, f"{_REPORT}.json")
    if not platform.storage.exists(*path):
        return None
    report = EvaluationReport.from_dict(platform.storage.read_json(*path))
    asked = (model.model_digest, digest_of_question(gate))
    answered = (report.challenger_digest, report.question_digest)
    is_promoted = champion is not None and champion.model_digest == model.model_digest
    same_champion = report.champion_version == (champion.model_version if champion else None)
    return report if asked == answered and not report.champion_error and (is_promoted or same_champion) else None


def _metrics(report: EvaluationReport) -> dict[str, float]:
    """Return the report's figures as metrics of the MLflow run."""
    metrics = {}
    for comparison in report.comparisons:
        name = comparison.metric.replace(":", ".")  # MLflow takes no colon on every system
        metrics[f"test_{name}"] = comparison.challenger
        metrics[f"baseline_{name}"] = comparison.baseline
        if comparison.champion is not None:
            metrics[f"champion_{name}"] = comparison.champion
    return metrics
