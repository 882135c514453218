"""The whole flow as one function call: what the DAG does task by task, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.packaging.export import ExportReport
from airflow_mlops.core.packaging.serving_check import ServingReport
from airflow_mlops.core.registry.journal import ModelVersion, PromotionRecord
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.splitting.leakage import LeakageReport
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel, choose_features, merge_params
from airflow_mlops.core.training.tuning import TuningResult, keep_chosen
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.features import feature_source
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.gate.bless import bless_model
from airflow_mlops.steps.monitoring.drift import check_drift
from airflow_mlops.steps.monitoring.performance import check_performance
from airflow_mlops.steps.packaging.export import export_model
from airflow_mlops.steps.packaging.serving_check import validate_serving
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.promotion.promote import promote_model, register_model
from airflow_mlops.steps.retraining.decide import decide_retrain
from airflow_mlops.steps.runner import run_step
from airflow_mlops.steps.splitting.leakage import check_leakage
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.tune import tune_model
from airflow_mlops.steps.validation.validate import validate_dataset

__all__ = ["PipelineResult", "PreparedData", "prepare_data", "run_pipeline"]


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """The first part of the flow: what there is to train on, and whether one may."""

    snapshot: DatasetSnapshot
    validation: ValidationReport
    split: DatasetSplit
    leakage: LeakageReport


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    """What each step gave; ``None`` from the step on at which the run came to its end."""

    snapshot: DatasetSnapshot
    validation: ValidationReport
    split: DatasetSplit
    leakage: LeakageReport
    drift: DriftReport
    performance: PerformanceReport | None = None
    decision: RetrainDecision
    tuning: TuningResult | None = None
    model: TrainedModel | None = None
    evaluation: EvaluationReport | None = None
    serving: ServingReport | None = None
    export: ExportReport | None = None
    blessing: Blessing | None = None
    version: ModelVersion | None = None
    promotion: PromotionRecord | None = None


def run_pipeline(
    spec: PipelineSpec,
    *,
    platform: Platform,
    run: PipelineRun,
    connections: Connections | None = None,
    force: bool = False,
    params: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> PipelineResult:
    """Run the pipeline from the source to the promotion; a version that must be approved, or tried, is held.

    :param connections: opens the connections that the spec names; ``None``: there are none.
    :param force: train even if data, code and parameters are those of an earlier run.
    :param params: hyperparameters that replace the spec's.
    :param now: with a zone, for the decision; by default the present moment.
    :raises DataHaltedError: when the validation halts.
    :raises LeakageError: when the training part knows what it should not.
    """
    name = spec.model_name
    training, tuning = merge_params(spec.training, params or {}), spec.tuning
    if tuning:
        training, tuning = keep_chosen(spec.training, tuning, params or {})
    platform.mlflow.check()
    prepared = prepare_data(spec, training, platform=platform, run=run, connections=connections)
    split, validation = prepared.split, prepared.validation
    trusted = validation.require_accepted()
    drift = check_drift(trusted, spec.monitoring, model_name=name, platform=platform, run=run, draw=platform.draws)
    performance = None
    if spec.performance:
        performance = check_performance(
            spec.performance, model_name=name, connections=connections, platform=platform, run=run, now=now
        )
    decision = decide_retrain(
        split,
        training,
        model_name=name,
        validation=validation,
        drift=drift,
        performance=performance,
        gate=spec.gate,
        tuning=tuning,
        policy=spec.retraining,
        force=force,
        now=now,
        platform=platform,
        run=run,
    )
    result = PipelineResult(
        snapshot=prepared.snapshot,
        validation=validation,
        split=split,
        leakage=prepared.leakage,
        drift=drift,
        performance=performance,
        decision=decision,
    )
    if not decision.should_retrain:
        return result
    at: dict[str, Any] = {"runner": spec.runner, "platform": platform, "run": run}
    tuned = tune_model(split, training, tuning, model_name=name, platform=platform, run=run) if tuning else None
    model = run_step("train", TrainedModel, split=split, training=training, tuning=tuned, model_name=name, **at)
    evaluation = run_step("evaluate", EvaluationReport, model=model, split=split, gate=spec.gate, **at)
    serving = validate_serving(model, split, spec.serving, platform=platform, run=run) if spec.serving else None
    export = export_model(model, split, spec.export, platform=platform, run=run) if spec.export else None
    blessing = bless_model(evaluation, spec.gate, model, serving=serving, platform=platform, run=run)
    result = replace(
        result, tuning=tuned, model=model, evaluation=evaluation, serving=serving, export=export, blessing=blessing
    )
    if blessing.is_over:
        return result
    version = register_model(model, blessing, description=spec.description, platform=platform)
    must_wait = spec.promotion.approval == "required" or not blessing.is_blessed or spec.rollout is not None
    policy = "hold" if must_wait else spec.promotion.policy
    promotion = promote_model(version, blessing, platform=platform, run=run, policy=policy)
    return replace(result, version=version, promotion=promotion)


def prepare_data(
    spec: PipelineSpec,
    training: TrainingSpec,
    *,
    platform: Platform,
    run: PipelineRun,
    connections: Connections | None = None,
) -> PreparedData:
    """Copy the rows, validate and split them, and see that the training part knows nothing that it should not.

    :param training: what is to be trained.
    :raises DataHaltedError: when the validation halts.
    :raises LeakageError: when the training part knows what it should not.
    """
    name, storage = spec.model_name, platform.storage
    snapshot = snapshot_dataset(spec.data, dataset=name, storage=storage, connections=connections, run=run)
    validation = validate_dataset(
        snapshot, spec.validation, model_name=name, connections=connections, platform=platform, run=run
    )
    trusted = validation.require_accepted()
    source = feature_source(spec.data, dataset=name, storage=storage, connections=connections, run=run)
    split = split_dataset(trusted, spec.data, spec.split, storage=storage, source=source)
    leakage = check_leakage(
        split,
        spec.split.leakage,
        target=training.target,
        features=choose_features(training, split),
        platform=platform,
        run=run,
    )
    leakage.require_clean()
    return PreparedData(snapshot=snapshot, validation=validation, split=split, leakage=leakage)
