"""Evaluation: everybody predicts the same held-back rows, and the gate decides on the difference."""

from __future__ import annotations

import logging
from typing import Any

from airflow_mlops.adapters import arrow
from airflow_mlops.core.evaluate import EvaluationReport, check_predictions, compare_predictions, naive_predictions
from airflow_mlops.core.gate import Blessing, bless, digest_of_gate
from airflow_mlops.core.promote import ModelVersion
from airflow_mlops.core.split import DatasetSplit
from airflow_mlops.core.train import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import EvaluationError, IntegrityError, MlopsError, SpecError, UnavailableError, did_you_mean
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.steps import pages
from airflow_mlops.steps._models import load_model
from airflow_mlops.steps._platform import Platform, folder_name, short
from airflow_mlops.steps.promote import current_champion

__all__ = ["bless_model", "evaluate_model"]

log = logging.getLogger(__name__)

_REPORT = "evaluation"


def evaluate_model(
    model: TrainedModel, split: DatasetSplit, gate: GateSpec, *, platform: Platform, run: PipelineRun
) -> EvaluationReport:
    """Score the challenger, the champion and a naive baseline on the same held-back rows.

    A champion that can't be scored does not fail the evaluation: the report says so, and the gate does not
    bless. A challenger that can't be scored does. A retry finds the report of an earlier try, so that the
    evidence of a promotion is never replaced by a comparison of the new champion with itself.

    :raises IntegrityError: when the model was not trained on this split, or stored bytes have changed.
    :raises EvaluationError: when the challenger can't predict the rows.
    """
    if model.split_digest != split.digest:
        raise IntegrityError(
            f"{model.model_uri} was trained on split {model.split_digest[:26]}…, not on {split.digest[:26]}…: "
            f"held-back rows of one may be training rows of the other. Nothing was evaluated."
        )
    champion = current_champion(model.model_name, platform=platform)
    earlier = _earlier_report(model, gate, champion, platform, run)
    if earlier:
        log.info("evaluation found from an earlier try: n_rows=%d", earlier.n_rows)
        return earlier
    frame = arrow.read_frame(split.test.uri, split.test.digest)
    if frame[model.target].isna().any():
        raise EvaluationError(f"The target {model.target!r} is null in held-back rows; nothing to compare with.")
    champion_predictions, champion_error = _predict_champion(champion, frame, platform)
    report = EvaluationReport(
        model_name=model.model_name,
        challenger_uri=model.model_uri,
        challenger_digest=model.model_digest,
        champion_version=champion.model_version if champion else None,
        champion_error=champion_error,
        split_digest=split.digest,
        n_rows=len(frame),
        baseline=gate.baseline_column or gate.baseline,
        confidence_level=gate.confidence_level,
        comparisons=compare_predictions(
            y_true=frame[model.target].to_numpy(),
            challenger=load_model("The challenger", model.model_uri, model.model_digest, platform=platform).predict(
                frame
            ),
            baseline=_baseline(gate, frame, model, split),
            champion=champion_predictions,
            gate=gate,
        ),
        report_uri=platform.report_uri(run, _REPORT),
    )
    metrics = _metrics(report)
    platform.mlflow.log_metrics(model.run_id, metrics)
    platform.record(run, _REPORT, report, pages.evaluation_page(report))
    log.info("evaluated: n_rows=%d champion=%s %s", report.n_rows, report.champion_version, metrics)
    return report


def bless_model(
    report: EvaluationReport, gate: GateSpec, model: TrainedModel, *, platform: Platform, run: PipelineRun
) -> Blessing:
    """Let the gate judge an evaluation, and record what it says.

    :raises IntegrityError: when the report is about another model.
    """
    if report.challenger_digest != model.model_digest:
        raise IntegrityError(
            f"The evaluation is of a model with digest {report.challenger_digest[:19]}…, not of {model.model_uri} "
            f"({model.model_digest[:19]}…). Nothing was blessed."
        )
    name = "blessing"
    blessing = bless(report, gate, report_uri=platform.report_uri(run, name))
    platform.storage.create_json(
        report.to_dict(), "evidence", folder_name(model.model_name), f"{short(blessing.evidence_digest)}.json"
    )
    platform.record(run, name, blessing, pages.blessing_page(blessing, report))
    tags = {
        "mlops.blessing": blessing.verdict,
        "mlops.evidence_digest": blessing.evidence_digest,
        "mlops.gate": digest_of_gate(gate),
    }
    if not blessing.is_blessed and not report.champion_error:  # a champion that can be scored again is a new case
        tags["mlops.outcome"] = blessing.verdict
    platform.mlflow.set_tags(model.run_id, tags)
    log.info("gate: verdict=%s", blessing.verdict)
    for reason in blessing.reasons:
        log.info("gate: %s", reason)
    return blessing


def _earlier_report(
    model: TrainedModel, gate: GateSpec, champion: ModelVersion | None, platform: Platform, run: PipelineRun
) -> EvaluationReport | None:
    """Return this run's report, if it answers the same question: the same model, gate and champion."""
    path = platform.report_path(run, f"{_REPORT}.json")
    if not platform.storage.exists(*path):
        return None
    report = EvaluationReport.from_dict(platform.storage.read_json(*path))
    asked = (model.model_digest, list(gate.metrics), gate.baseline_column or gate.baseline, gate.confidence_level)
    answered = (
        report.challenger_digest,
        [comparison.metric for comparison in report.comparisons],
        report.baseline,
        report.confidence_level,
    )
    is_promoted = champion is not None and champion.model_digest == model.model_digest
    same_champion = report.champion_version == (champion.model_version if champion else None)
    return report if asked == answered and not report.champion_error and (is_promoted or same_champion) else None


def _metrics(report: EvaluationReport) -> dict[str, float]:
    """Return the report's figures as metrics of the MLflow run."""
    metrics = {}
    for comparison in report.comparisons:
        metrics[f"test_{comparison.metric}"] = comparison.challenger
        metrics[f"baseline_{comparison.metric}"] = comparison.baseline
        if comparison.champion is not None:
            metrics[f"champion_{comparison.metric}"] = comparison.champion
    return metrics


def _predict_champion(champion: ModelVersion | None, frame: Any, platform: Platform) -> tuple[Any, str | None]:
    if champion is None:
        return None, None
    uri = f"models:/{champion.model_name}/{champion.model_version}"
    try:
        return load_model("The champion", uri, champion.model_digest, platform=platform).predict(frame), None
    except UnavailableError:
        raise
    except MlopsError as error:
        log.warning("champion could not be scored: model_version=%d error=%s", champion.model_version, error)
        return None, str(error)


def _baseline(gate: GateSpec, frame: Any, model: TrainedModel, split: DatasetSplit) -> Any:
    if gate.baseline != "column":
        arrow.check_rows(split.train.uri, split.train.digest)
        target = arrow.read_column(split.train.uri, model.target)
        return naive_predictions(gate.baseline, target, len(frame))
    column = str(gate.baseline_column)
    if column not in frame:
        raise SpecError(f"gate.baseline_column {column!r} is not in the data.{did_you_mean(column, frame.columns)}")
    return check_predictions("The naive baseline", frame[column].to_numpy(), len(frame))
