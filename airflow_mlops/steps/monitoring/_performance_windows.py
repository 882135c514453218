"""The windows of a performance check: which they are, what is read of them, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_mlops.adapters.arrow import slice_codes
from airflow_mlops.adapters.duckdb_engine import LoggedOutcomes
from airflow_mlops.core.monitoring.degradation import judge_counts, judge_scores
from airflow_mlops.core.monitoring.performance_report import (
    Cohort,
    MetricPerformance,
    PerformanceStatus,
    SlicePerformance,
    WindowPerformance,
)
from airflow_mlops.core.monitoring.two_samples import Outcomes, compare_metrics, compare_slices, draw
from airflow_mlops.specs.data import in_utc
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.steps.monitoring._champion_baseline import Reference
from airflow_mlops.steps.monitoring._outcomes import WindowRows, read_rows

__all__ = ["Seen", "Spans", "look_at", "spans_before", "wanted_columns"]

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DAYS = 31
"""More days than this are shown by the week."""


@dataclass(frozen=True, kw_only=True)
class Spans:
    """What is looked at: windows, the newest first, and the time since, whose labels are not due yet.

    :param is_past: whether ``now`` is another time than this one, so that later ones are no wonder.
    """

    windows: tuple[tuple[datetime, datetime], ...]
    now: datetime
    is_past: bool

    @property
    def start(self) -> datetime:
        """The first time that is looked at."""
        return self.windows[-1][0]

    @property
    def mature_until(self) -> datetime:
        """The first time of the predictions whose labels are not due yet."""
        return self.windows[0][1]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found in the spans.

    :param windows: the newest first.
    :param estimates: what is expected of the predictions whose labels are not due yet.
    :param n_younger: how many of those there are.
    :param first_younger: the time of the first of them; ``None``: there is none.
    """

    windows: tuple[WindowPerformance, ...]
    cohorts: tuple[Cohort, ...]
    estimates: dict[str, float]
    n_younger: int
    first_younger: datetime | None


def spans_before(spec: PerformanceSpec, at: datetime | None) -> Spans:
    """Return the spans that lie before a time; ``None``: this one."""
    now = in_utc(at or datetime.now(UTC))
    end = (now - spec.maturity).replace(hour=0, minute=0, second=0, microsecond=0)
    windows = ((end - (back + 1) * spec.window, end - back * spec.window) for back in range(spec.windows.of))
    return Spans(windows=tuple(windows), now=now, is_past=at is not None)


def wanted_columns(spec: PerformanceSpec, reference: Reference) -> dict[str, str]:
    """Return the features that are read, by what they are for."""
    columns = {f"slice{place}": name for place, name in enumerate(spec.slices.columns if spec.slices else ())}
    if reference.baseline_column in reference.predictions.challenger.columns:  # others are not in the log
        columns["baseline"] = str(reference.baseline_column)
    return columns


def look_at(
    logged: LoggedOutcomes, spec: PerformanceSpec, reference: Reference, spans: Spans, columns: Sequence[str]
) -> Seen:
    """Read one span after the other."""
    step = _DAY if spans.now - spans.start <= _MAX_DAYS * _DAY else 7 * _DAY
    windows: list[WindowPerformance] = []
    cohorts: list[Cohort] = []

    def read(start: datetime, end: datetime) -> WindowRows:
        table = logged.between(start, end)
        named = [*table.column_names[: len(table.column_names) - len(columns)], *columns]
        rows = read_rows(table.rename_columns(named), reference, spec.label)
        cohorts.extend(_cohorts(rows, start, end, step, is_mature=end <= spans.mature_until))
        return rows

    for place, (start, end) in enumerate(spans.windows):
        windows.append(_judge_window(read(start, end), spec, reference, start, end, seed=place + 1))
    younger = read(spans.mature_until, spans.now + _DAY)
    return Seen(
        windows=tuple(windows),
        cohorts=tuple(sorted(cohorts, key=lambda each: each.start)),
        estimates=younger.estimates(),
        n_younger=len(younger.at_us),
        first_younger=_moment(int(younger.at_us.min())) if len(younger.at_us) else None,
    )


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
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _judge_window(
    rows: WindowRows, spec: PerformanceSpec, reference: Reference, start: datetime, end: datetime, *, seed: int
) -> WindowPerformance:
    """Judge a window by its labels, if they suffice."""
    counts = rows.counts()
    odd = (rows.odd_labels,) if rows.odd_labels else ()
    window: dict[str, Any] = {"start": start, "end": end, "counts": counts, "estimates": rows.estimates()}
    refused = judge_counts(counts, spec)
    if refused:
        return WindowPerformance(status=PerformanceStatus(refused.verdict), reasons=(refused, *odd), **window)
    metrics, slices = _score(rows, spec, reference, seed)
    status, reasons = judge_scores(metrics, slices, spec)
    return WindowPerformance(status=status, reasons=(*reasons, *odd), metrics=metrics, slices=slices, **window)


def _score(
    rows: WindowRows, spec: PerformanceSpec, reference: Reference, seed: int
) -> tuple[tuple[MetricPerformance, ...], tuple[SlicePerformance, ...]]:
    """Compare a window with the held-out rows, and with the naive baseline on its own rows."""
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
    settings = {"n_classes": reference.n_classes, "block_length": spec.block_length}
    drawn = {
        "current": draw(current, reference.metrics, seed=seed, **settings),
        "reference": draw(then, reference.metrics, **settings),
    }
    level, n_rows = spec.confidence_level, {name: len(rows) for name, rows in current.slices.items()}
    return (
        compare_metrics(**drawn, metrics=reference.metrics, confidence_level=level),
        compare_slices(**drawn, n_rows=n_rows, confidence_level=level),
    )
