"""What a step's value is in numbers, for a dashboard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict
from airflow_mlops.core.monitoring.drift_report import DriftReport, DriftStatus
from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.observability.telemetry import MAX_COLUMNS, METRICS, Measurement, clean_tag
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutVerdict
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.validation.findings import ValidationReport, Verdict
from airflow_mlops.core.values import Value
from airflow_mlops.specs.data import in_utc

__all__ = ["measure"]


def measure(value: Value, *, given: Sequence[Value] = (), now: datetime) -> list[Measurement]:
    """Return what is sent of a value.

    :param given: what the step was given. A validation's dataset is that of the snapshot among it; how long a promotion
        took is counted from the snapshot among it.
    :param now: the time at which data is so old.
    :returns: nothing of a value that has no numbers, and nothing that is NaN or infinite.
    """
    snapshot = next((each for each in given if isinstance(each, DatasetSnapshot)), None)
    return [each for each in _measured(value, snapshot, now) if math.isfinite(each.value)]


def _measured(value: Value, snapshot: DatasetSnapshot | None, now: datetime) -> Iterator[Measurement]:
    match value:
        case DatasetSnapshot():
            yield from _of_snapshot(value, now)
        case ValidationReport():
            yield from _of_validation(value, snapshot or value.accepted)
        case DriftReport():
            yield from _of_drift(value)
        case PerformanceReport():
            yield from _of_performance(value)
        case MonitoringDecision():
            yield _take("monitoring.alert", value.is_alert, model_name=value.model_name)
        case RetrainDecision():
            word = "retrain" if value.should_retrain else "wait"
            yield _take("retrain.should_retrain", value.should_retrain, model_name=value.model_name)
            yield _take("retrain.decisions", 1, model_name=value.model_name, decision=word)
        case TrainedModel():
            yield _take("training.models", 1, model_name=value.model_name)
        case EvaluationReport():
            yield from _of_evaluation(value)
        case Blessing():
            yield from _of_blessing(value)
        case RolloutReport():
            yield from _states("rollout.verdict", RolloutVerdict, value.verdict, model_name=value.model_name)
        case PromotionRecord():
            yield from _of_promotion(value, snapshot)
        case PredictionBatch():
            yield _take("prediction.rows", value.n_rows, model_name=value.model_name)


def _take(name: str, value: float, **tags: object) -> Measurement:
    metric = METRICS[f"mlops.{name}"]
    cleaned = {tag: clean_tag(tags[tag]) for tag in metric.tags}
    return Measurement(metric=metric, value=float(value), tags=cleaned)


def _states(name: str, states: type[StrEnum], found: StrEnum, **tags: object) -> Iterator[Measurement]:
    """Take a gauge for each state, as OpenMetrics has them: one of them is 1, so that an alert can name it."""
    state_tag = METRICS[f"mlops.{name}"].tags[-1]
    for state in states:
        yield _take(name, state is found, **tags, **{state_tag: state.value})


def _of_snapshot(snapshot: DatasetSnapshot, now: datetime) -> Iterator[Measurement]:
    dataset = snapshot.dataset
    yield _take("data.rows", snapshot.n_rows, dataset=dataset)
    if snapshot.window_end is not None:
        newest = in_utc(snapshot.window_end)
        yield _take("data.newest_row_timestamp_seconds", newest.timestamp(), dataset=dataset)
        yield _take("data.age_seconds", _seconds(newest, now), dataset=dataset)


def _of_validation(report: ValidationReport, snapshot: DatasetSnapshot | None) -> Iterator[Measurement]:
    if snapshot is None:
        return
    dataset, quarantine = snapshot.dataset, report.quarantine
    yield from _states("validation.verdict", Verdict, report.verdict, dataset=dataset)
    yield _take("validation.findings", len(report.findings), dataset=dataset)
    yield _take("validation.quarantined_rows", quarantine.n_rows if quarantine else 0, dataset=dataset)


def _of_drift(report: DriftReport) -> Iterator[Measurement]:
    # Else the DAG that trains and the one that watches production would overwrite each other's values.
    of = {"model_name": report.model_name, "data": "snapshot" if report.current_digest else "inference_log"}
    yield from _states("drift.status", DriftStatus, report.status, **of)
    if report.columns:
        yield _take("drift.columns", sum(column.is_drifted for column in report.columns), **of)
    for column in report.columns[:MAX_COLUMNS]:  # those that drifted come first
        for statistic, value in column.statistics.items():
            if f"mlops.drift.{statistic}" in METRICS:
                yield _take(f"drift.{statistic}", value, **of, column=column.name)
    if report.domain_score is not None:
        yield _take("drift.domain_score", report.domain_score, **of)


def _of_performance(report: PerformanceReport) -> Iterator[Measurement]:
    model = report.model_name
    yield from _states("performance.status", PerformanceStatus, report.status, model_name=model)
    for newest in report.windows[:1]:
        yield _take("performance.label_coverage", newest.counts.coverage, model_name=model)
        for found in newest.metrics[:MAX_COLUMNS]:
            yield _take("performance.value", found.value.difference, model_name=model, metric=found.metric)
            yield _take("performance.at_blessing", found.at_blessing, model_name=model, metric=found.metric)


def _of_evaluation(report: EvaluationReport) -> Iterator[Measurement]:
    for found in islice(report.comparisons, MAX_COLUMNS):
        sides = {"challenger": found.challenger, "champion": found.champion, "baseline": found.baseline}
        for side, value in sides.items():
            if value is not None:
                yield _take("evaluation.value", value, model_name=report.model_name, metric=found.metric, side=side)


def _of_blessing(blessing: Blessing) -> Iterator[Measurement]:
    model = blessing.model_name
    yield from _states("gate.verdict", BlessingVerdict, blessing.verdict, model_name=model)
    yield _take("gate.decisions", 1, model_name=model, verdict=blessing.verdict.value)
    for reason in blessing.reasons[:MAX_COLUMNS]:  # those that decided the verdict come first
        rule = {"model_name": model, "rule": reason.rule, "subject": reason.subject}
        for name, number in (("gate.observed", reason.observed), ("gate.required", reason.required)):
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield _take(name, number, **rule)


def _of_promotion(record: PromotionRecord, snapshot: DatasetSnapshot | None) -> Iterator[Measurement]:
    model = record.model_name
    yield _take("champion.version", record.to_version, model_name=model)
    yield _take("champion.changes", 1, model_name=model, action=record.action)
    if snapshot and record.action == "promote":
        since = snapshot.window_end or snapshot.created_at
        yield _take("champion.data_to_champion_seconds", _seconds(since, record.at), model_name=model)


def _seconds(start: datetime, end: datetime) -> float:
    return (in_utc(end) - in_utc(start)).total_seconds()
