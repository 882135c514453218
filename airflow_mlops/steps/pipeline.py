"""The whole flow as one function call: what the DAG does task by task, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.flow import TRAINING
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.packaging.conversion import ConversionReport
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.core.registry.journal import ModelVersion, PromotionRecord
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.splitting.leakage import LeakageReport
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.step import steps_of
from airflow_mlops.core.training.model import TrainedModel, merge_params
from airflow_mlops.core.training.tuning import TuningResult, keep_chosen
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.flow import FlowRun
from airflow_mlops.steps.platform import Platform

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
    serving_check: ServingCheckReport | None = None
    conversion: ConversionReport | None = None
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
    :param now: with a zone, for the decision; by default the present time.
    :raises DataHaltedError: when the validation halts.
    :raises LeakageError: when the training part knows what it should not.
    """
    training, tuning = merge_params(spec.training, params or {}), spec.tuning
    if tuning:
        training, tuning = keep_chosen(spec.training, tuning, params or {})
    spec = spec.model_copy(update={"training": training, "tuning": tuning})
    platform.mlflow.check()
    form = {"data": spec.data, "force": force, "now": now, "promotion": spec.promotion.policy}
    flow = FlowRun(spec, platform=platform, run=run, connections=connections, form=form)
    for step in steps_of(TRAINING, spec):
        if not step.function:  # it waits for a person, or for live requests
            continue
        result = flow.do(step)
        if step.is_over(result):
            break
        if isinstance(result, Blessing) and _must_wait(spec, result):
            flow.form["promotion"] = "hold"
    return PipelineResult(**flow.results)


def _must_wait(spec: PipelineSpec, blessing: Blessing) -> bool:
    """Whether the version has to be approved, or tried, before it may be promoted."""
    return spec.promotion.needs_approval or not blessing.is_blessed or spec.rollout is not None


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
    spec = spec.model_copy(update={"training": training})
    flow = FlowRun(spec, platform=platform, run=run, connections=connections, form={"data": spec.data})
    for step in steps_of(TRAINING, spec):
        if step.group == "data":
            flow.do(step)
    return PreparedData(**flow.results)
