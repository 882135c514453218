"""Performance in production: late labels find their predictions, and say whether the model is worse than it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_mlops.adapters.duckdb_engine import open_outcomes
from airflow_mlops.adapters.storage.inference_window import files_of_window
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.monitoring.degradation import decide_degradation, judge_clocks, tell_younger
from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import partition_of
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import NoRowsError
from airflow_mlops.pages.performance import performance_page
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.settings import settings_at
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.monitoring._champion_baseline import Reference, score_reference
from airflow_mlops.steps.monitoring._performance_windows import Spans, look_at, spans_before, wanted_columns
from airflow_mlops.steps.platform import Platform, inference_folder
from airflow_mlops.steps.registry.journal import current_champion

__all__ = ["check_performance"]

log = logging.getLogger(__name__)

_REPORT = "performance"


def check_performance(
    performance: PerformanceSpec,
    *,
    model_name: str,
    model_version: int | None = None,
    connections: Connections | None = None,
    platform: Platform,
    run: PipelineRun,
    now: datetime | None = None,
) -> PerformanceReport:
    """Join late labels to the logged predictions of a version, and compare with its evaluation at the blessing.

    The windows are counted back from midnight in UTC, as long ago as labels take to come. Nothing that is missing, odd
    or too little gives OK; each has a status of its own, see
    :class:`~airflow_mlops.core.monitoring.performance_report.PerformanceStatus`.

    :param model_version: the version; ``None``: the champion.
    :param connections: opens the connection that the labels' spec names; ``None``: there is none.
    :param now: the time of the check, to look back: what happened later is left out. ``None``: this one.
    :raises DataError: when labels or log lack a column, or can't be read.
    :raises EvaluationError: when the version can't be scored on its held-out rows any more, or does otherwise.
    :raises IntegrityError: when a record, the evidence, rows or a file are not what was verified.
    :raises UnavailableError: when MLflow, the storage or the labels' source does not answer.
    """
    spans = spans_before(performance, now)
    version = _find_version(model_name, model_version, platform)
    if version is None:
        report = PerformanceReport(
            model_name=model_name,
            model_version=None,
            status=PerformanceStatus.NO_CHAMPION,
            reasons=(Reason(stage="monitoring", rule="no_champion", verdict=PerformanceStatus.NO_CHAMPION),),
            checked_at=spans.now,
            report_uri=platform.report_uri(run, _REPORT),
        )
    else:
        labels, missing = _read_labels(performance, model_name, connections, platform, run, spans.now)
        reference = score_reference(version, performance, platform=platform)
        files = files_of_window(inference_folder(model_name, storage=platform.storage))
        report = _judge(performance, version, reference, labels, files, spans, platform.report_uri(run, _REPORT))
        report = replace(report, reasons=(*report.reasons, *missing))
    platform.record(run, _REPORT, report, performance_page(report, draws=platform.draws))
    log.info("performance: status=%s %s", report.status, " ".join(sentences_of(report.reasons)))
    return report


def _find_version(model_name: str, model_version: int | None, platform: Platform) -> ModelVersion | None:
    if model_version is None:
        return current_champion(model_name, platform=platform)
    return platform.mlflow.get_version(model_name, model_version)


def _read_labels(
    spec: PerformanceSpec,
    model_name: str,
    connections: Connections | None,
    platform: Platform,
    run: PipelineRun,
    now: datetime,
) -> tuple[DatasetSnapshot | None, tuple[Reason, ...]]:
    """Copy the labels, so that the report can be made again; where none has come, say why."""
    dataset = f"{model_name}.labels"
    try:
        with settings_at("performance.labels."):
            labels = snapshot_dataset(
                spec.labels, dataset=dataset, storage=platform.storage, connections=connections, run=run, now=now
            )
    except NoRowsError as error:
        log.warning("no labels: %s", error)
        return None, (Reason(stage="monitoring", rule="labels_not_delivered", facts={"error": str(error)}),)
    return labels, ()


def _judge(
    spec: PerformanceSpec,
    version: ModelVersion,
    reference: Reference,
    labels: DatasetSnapshot | None,
    files: Sequence[str],
    spans: Spans,
    report_uri: str,
) -> PerformanceReport:
    first = partition_of(spans.start.date() - timedelta(days=1))  # a file may hold rows of the minutes after midnight
    recent = [path for path in files if Path(path).parent.name >= first]
    known: dict[str, Any] = {
        "model_name": version.model_name,
        "model_version": version.model_version,
        "checked_at": spans.now,
        "evidence_digest": version.evidence_digest,
        "n_reference": len(reference.frame),
        "baseline": reference.evaluation.baseline,
        "confidence_level": spec.confidence_level,
        "labels_digest": labels.digest if labels else "",
        "report_uri": report_uri,
    }
    if not recent:
        status = PerformanceStatus.NO_PREDICTIONS
        since = Reason(
            stage="monitoring", rule="nothing_logged", verdict=status, n=0, facts={"since": spans.start.isoformat()}
        )
        return PerformanceReport(status=status, reasons=(since,), **known)
    columns = wanted_columns(spec, reference)
    with open_outcomes(
        files,
        labels.data_uri if labels else None,
        spec,
        recent=recent,
        model_version=version.model_version,
        start=spans.start,
        now=spans.now,
        columns=tuple(columns.values()),
    ) as logged:
        seen = look_at(logged, spec, reference, spans, tuple(columns))
        clocks = () if spans.is_past else judge_clocks(logged.labels, logged.n_future)
        younger = tell_younger(seen.n_younger, seen.first_younger, spec)
        status, reasons = decide_degradation(seen.windows, logged.labels, spec, clocks=clocks, younger=younger)
        if logged.examples:
            theirs, ours = logged.examples
            facts = {"labels": list(theirs), "predictions": list(ours)}
            reasons = (Reason(stage="monitoring", rule="no_label_found", facts=facts), *reasons)
        return PerformanceReport(
            status=status,
            reasons=reasons,
            windows=seen.windows,
            cohorts=seen.cohorts,
            recent_estimates=seen.estimates,
            labels=logged.labels,
            n_repeated=logged.n_repeated,
            **known,
        )
