"""Performance in production: late labels find their predictions, and say whether the model is worse than it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_mlops.adapters import slice_codes
from airflow_mlops.adapters.duckdb_engine import LoggedOutcomes, open_outcomes
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.degradation import decide_degradation, judge_clocks, judge_counts, judge_scores
from airflow_mlops.core.inference import partition_of
from airflow_mlops.core.performance import (
    Cohort,
    MetricPerformance,
    PerformanceReport,
    PerformanceStatus,
    SlicePerformance,
    WindowPerformance,
)
from airflow_mlops.core.promote import ModelVersion
from airflow_mlops.core.two_samples import Outcomes, compare_metrics, compare_slices, draw
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import NoRowsError
from airflow_mlops.specs.data import in_utc
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.steps._outcomes import WindowRows, read_rows
from airflow_mlops.steps._performance_page import performance_page
from airflow_mlops.steps._platform import Platform, folder_name
from airflow_mlops.steps._reference import Reference, score_reference
from airflow_mlops.steps.connections import Connections
from airflow_mlops.steps.data import snapshot_dataset
from airflow_mlops.steps.promote import current_champion

__all__ = ["check_performance"]

log = logging.getLogger(__name__)

_REPORT = "performance"
_DAY = timedelta(days=1)
_MAX_DAYS = 31
"""More days than this are shown by the week."""


@dataclass(frozen=True, kw_only=True)
class _Spans:
    """What is looked at: windows, the newest first, and the time since, whose labels are not due yet.

    :param is_past: whether ``now`` is another moment than this one, so that later ones are no wonder.
    """

    windows: tuple[tuple[datetime, datetime], ...]
    now: datetime
    is_past: bool

    @property
    def start(self) -> datetime:
        return self.windows[-1][0]

    @property
    def mature_until(self) -> datetime:
        return self.windows[0][1]


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
    :class:`~airflow_mlops.core.performance.PerformanceStatus`.

    :param model_version: the version; ``None``: the champion.
    :param connections: opens the connection that the labels' spec names; ``None``: there is none.
    :param now: the moment of the check, to look back: what happened later is left out. ``None``: this one.
    :raises DataError: when labels or log lack a column, or can't be read.
    :raises EvaluationError: when the version can't be scored on its held-back rows any more, or does otherwise.
    :raises IntegrityError: when a record, the evidence, rows or a file are not what was vouched for.
    :raises UnavailableError: when MLflow, the storage or the labels' source does not answer.
    """
    spans = _spans(performance, now)
    version = _find_version(model_name, model_version, platform)
    if version is None:
        report = PerformanceReport(
            model_name=model_name,
            model_version=None,
            status=PerformanceStatus.NO_CHAMPION,
            reasons=("There is no champion, so there is nothing to judge.",),
            checked_at=spans.now,
            report_uri=platform.report_uri(run, _REPORT),
        )
    else:
        labels = _read_labels(performance, model_name, connections, platform, run, spans.now)
        reference = score_reference(version, performance, platform=platform)
        files = _log_files(model_name, platform)
        report = _judge(performance, version, reference, labels, files, spans, platform.report_uri(run, _REPORT))
    platform.record(run, _REPORT, report, performance_page(report))
    log.info("performance: status=%s %s", report.status, " ".join(report.reasons))
    return report


def _spans(spec: PerformanceSpec, at: datetime | None) -> _Spans:
    now = in_utc(at or datetime.now(UTC))
    end = (now - spec.maturity).replace(hour=0, minute=0, second=0, microsecond=0)
    windows = ((end - (back + 1) * spec.window, end - back * spec.window) for back in range(spec.windows.of))
    return _Spans(windows=tuple(windows), now=now, is_past=at is not None)


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
) -> DatasetSnapshot | None:
    """Copy the labels, so that the report can be made again; ``None`` where none has come."""
    dataset = f"{model_name}.labels"
    try:
        return snapshot_dataset(
            spec.labels, dataset=dataset, storage=platform.storage, connections=connections, run=run, now=now
        )
    except NoRowsError as error:
        log.warning("no labels: %s", error)
        return None


def _log_files(model_name: str, platform: Platform) -> list[tuple[str, str]]:
    """Return the log's files, each with its folder's name, by which they are sorted."""
    folder = ("inference", folder_name(model_name))
    return [
        (day, str(platform.storage.path(*folder, day, name)))
        for day in platform.storage.names(*folder)
        if day.startswith("date=")
        for name in platform.storage.names(*folder, day)
        if name.endswith(".parquet")
    ]


def _judge(
    spec: PerformanceSpec,
    version: ModelVersion,
    reference: Reference,
    labels: DatasetSnapshot | None,
    files: Sequence[tuple[str, str]],
    spans: _Spans,
    report_uri: str,
) -> PerformanceReport:
    first = partition_of(_day_before(spans.start))  # a file may hold rows of the minutes after midnight
    recent = [path for day, path in files if day >= first]
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
        text = f"The log has no prediction since {spans.start:%Y-%m-%d}."
        return PerformanceReport(status=PerformanceStatus.NO_PREDICTIONS, reasons=(text,), **known)
    columns = _wanted_columns(spec, reference)
    with open_outcomes(
        [path for _, path in files],
        labels.data_uri if labels else None,
        spec,
        recent=recent,
        model_version=version.model_version,
        start=spans.start,
        now=spans.now,
        columns=tuple(columns.values()),
    ) as logged:
        windows, cohorts, estimates = _look_at(logged, spec, reference, spans, tuple(columns))
        clocks = () if spans.is_past else judge_clocks(logged.labels, logged.n_future)
        status, reasons = decide_degradation(windows, logged.labels, spec, clocks=clocks)
        if logged.examples:
            theirs, ours = logged.examples
            reasons = (f"No label is of a prediction: the labels are of {theirs}, the predictions of {ours}.", *reasons)
        return PerformanceReport(
            status=status,
            reasons=reasons,
            windows=windows,
            cohorts=cohorts,
            recent_estimates=estimates,
            labels=logged.labels,
            n_repeated=logged.n_repeated,
            **known,
        )


def _day_before(moment: datetime) -> date:
    return moment.date() - _DAY


def _wanted_columns(spec: PerformanceSpec, reference: Reference) -> dict[str, str]:
    """Return the features that are read, by what they are for."""
    columns = {f"slice{place}": name for place, name in enumerate(spec.slices.columns if spec.slices else ())}
    if reference.baseline_column in reference.predictions.challenger.columns:  # others are not in the log
        columns["baseline"] = str(reference.baseline_column)
    return columns


def _look_at(
    logged: LoggedOutcomes, spec: PerformanceSpec, reference: Reference, spans: _Spans, columns: Sequence[str]
) -> tuple[tuple[WindowPerformance, ...], tuple[Cohort, ...], dict[str, float]]:
    """Read one span after the other, and return the windows, the cohorts and what is expected of the newest rows."""
    step = _DAY if spans.now - spans.start <= _MAX_DAYS * _DAY else 7 * _DAY
    windows: list[WindowPerformance] = []
    cohorts: list[Cohort] = []

    def read(start: datetime, end: datetime) -> WindowRows:
        table = logged.between(start, end)
        named = [*table.column_names[: len(table.column_names) - len(columns)], *columns]
        rows = read_rows(table.rename_columns(named), reference)
        cohorts.extend(_cohorts(rows, start, end, step, is_mature=end <= spans.mature_until))
        return rows

    for place, (start, end) in enumerate(spans.windows):
        windows.append(_judge_window(read(start, end), spec, reference, start, end, seed=place + 1))
    estimates = read(spans.mature_until, spans.now + _DAY).estimates()
    return tuple(windows), tuple(sorted(cohorts, key=lambda each: each.start)), estimates


def _cohorts(rows: WindowRows, start: datetime, end: datetime, step: timedelta, *, is_mature: bool) -> Iterator[Cohort]:
    while start < end:
        until = min(start + step, end)
        among = (rows.at_us >= _micros(start)) & (rows.at_us < _micros(until))
        if among.any():
            yield Cohort(
                start=start,
                end=until,
                is_mature=is_mature,
                counts=rows.counts(among),
                values=rows.values_of_metrics(among),
            )
        start = until


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _judge_window(
    rows: WindowRows, spec: PerformanceSpec, reference: Reference, start: datetime, end: datetime, *, seed: int
) -> WindowPerformance:
    """Judge a window by its labels, if they suffice."""
    counts = rows.counts()
    odd = (f"Labels such as {rows.odd_labels}.",) if rows.odd_labels else ()
    window: dict[str, Any] = {"start": start, "end": end, "counts": counts, "estimates": rows.estimates()}
    refused = judge_counts(counts, spec)
    if refused:
        status, reason = refused
        return WindowPerformance(status=status, reasons=(reason, *odd), **window)
    metrics, slices = _score(rows, spec, reference, seed)
    status, reasons = judge_scores(metrics, slices, spec)
    return WindowPerformance(status=status, reasons=(*reasons, *odd), metrics=metrics, slices=slices, **window)


def _score(
    rows: WindowRows, spec: PerformanceSpec, reference: Reference, seed: int
) -> tuple[tuple[MetricPerformance, ...], tuple[SlicePerformance, ...]]:
    """Compare a window with the held-back rows, and with the naive baseline on its own rows."""
    current, places = rows.outcomes()
    then = Outcomes(
        y_true=reference.predictions.y_true, models={"champion": reference.predictions.models["challenger"]}
    )
    if spec.slices:
        names = spec.slices.columns
        table = rows.table.select([f"slice{place}" for place in range(len(names))]).take(places)
        found = slice_codes.common_slices(
            reference=reference.frame, current=table, names=names, min_rows=spec.slices.min_rows
        )
        then, current = (
            Outcomes(y_true=each.y_true, models=each.models, slices=slices)
            for each, slices in zip((then, current), found, strict=True)
        )
    settings = {"n_classes": reference.n_classes}
    drawn = {
        "current": draw(current, reference.metrics, seed=seed, **settings),
        "reference": draw(then, reference.metrics, **settings),
    }
    level, n_rows = spec.confidence_level, {name: len(rows) for name, rows in current.slices.items()}
    return (
        compare_metrics(**drawn, metrics=reference.metrics, confidence_level=level),
        compare_slices(**drawn, n_rows=n_rows, confidence_level=level),
    )
