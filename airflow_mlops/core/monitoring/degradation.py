"""When a model counts as worse: the rules for a window, and for several of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from airflow_mlops.core.monitoring.performance_report import (
    LabelCounts,
    MetricPerformance,
    PerformanceStatus,
    PredictionCounts,
    SlicePerformance,
    WindowPerformance,
)
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.errors import bounded, counted
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.evaluate import Thresholds
from airflow_mlops.specs.metrics import Direction
from airflow_mlops.specs.performance import PerformanceSpec

__all__ = ["decide_degradation", "judge_clocks", "judge_counts", "judge_scores", "tell_younger"]

OK, DEGRADED = PerformanceStatus.OK, PerformanceStatus.DEGRADED
Reason = tuple[PerformanceStatus, str]

_MAX_BAD = 0.01
"""More labels than this share that are bad, or known too early, and what the others say is no answer."""


def judge_counts(counts: PredictionCounts, spec: PerformanceSpec) -> Reason | None:
    """Say why a window can't be judged, ``None`` where it can.

    >>> from datetime import timedelta
    >>> from airflow_mlops.specs import DatasetSpec
    >>> spec = PerformanceSpec(
    ...     labels=DatasetSpec(path="labels.csv"), label="y", id="id", maturity="P7D", metrics={"accuracy": {}}
    ... )
    >>> judge_counts(PredictionCounts(n_predictions=300, n_labelled=1), spec)[0]
    <PerformanceStatus.NOT_ENOUGH_LABELS: 'NOT_ENOUGH_LABELS'>
    """
    if not counts.n_predictions:
        return PerformanceStatus.NO_PREDICTIONS, "The log has no prediction of this version in the window."
    answered = counts.n_answers / counts.n_predictions
    if not counts.n_answers or answered < spec.min_coverage:
        text = f"{counts.n_failed} of {counts.n_predictions} predictions are no answer (null, or no probability)"
        return PerformanceStatus.NO_ANSWERS, f"{text}, performance.min_coverage {spec.min_coverage:g}."
    n_found = counts.n_labelled + counts.n_bad
    if counts.n_early > _MAX_BAD * n_found:
        text = f"{counts.n_early} of {n_found} labels were known before their prediction was made"
        return PerformanceStatus.BAD_CLOCK, f"{text}: see clocks and time zones, or what was predicted was known."
    if counts.n_bad > _MAX_BAD * n_found:
        text = f"{counts.n_bad} of {counted(n_found, 'labelled prediction')}: their labels contradict each other"
        text = f"{text}, or are none of the target's values."
        return PerformanceStatus.BAD_LABELS, text
    if counts.n_labelled < spec.min_rows or counts.coverage < spec.min_coverage:
        text = (
            f"{counts.n_labelled} of {counts.n_answers} predictions are labelled ({counts.coverage:.0%}), "
            f"performance.min_rows {spec.min_rows} and min_coverage {spec.min_coverage:g}."
        )
        return PerformanceStatus.NOT_ENOUGH_LABELS, text
    return None


def judge_scores(
    metrics: Sequence[MetricPerformance], slices: Sequence[SlicePerformance], spec: PerformanceSpec
) -> tuple[PerformanceStatus, tuple[str, ...]]:
    """Judge a window by all of its metrics and slices, each with a reason; those that decide come first."""
    reasons = [reason for metric in metrics for reason in _judge_metric(metric, spec)]
    if slices and spec.slices and spec.slices.change_threshold is not None:
        reasons.append(_judge_slices(slices, metrics[0], spec.slices.change_threshold))
    order = (DEGRADED, PerformanceStatus.UNDECIDED, OK)
    found = {status for status, _ in reasons}
    words = {DEGRADED: "Worse", PerformanceStatus.UNDECIDED: "Undecided", OK: "Not shown to be worse"}
    texts = tuple(f"{words[each]}: {text}" for each in order for status, text in reasons if status is each)
    return next((each for each in order if each in found), PerformanceStatus.UNDECIDED), texts


def _judge_metric(metric: MetricPerformance, spec: PerformanceSpec) -> Iterator[Reason]:
    thresholds = spec.metrics[metric.metric]
    asked = f"performance.metrics.{metric.metric}"
    value = f"{metric.metric} {metric.value.difference:.4g} [{metric.value.low:.4g}, {metric.value.high:.4g}]"
    limit = thresholds.value_threshold
    if limit is not None:
        status = _judge_interval(metric.direction, metric.value, limit)
        yield status, f"{value}, {asked}.value_threshold {limit:.4g}."
    margin, setting = _margin(metric, thresholds)
    if setting:
        text = f"{value} against {metric.at_blessing:.4g} at the blessing, {asked}.{setting}"
        if margin is None:
            yield PerformanceStatus.UNDECIDED, f"{text}: nothing is a fraction of that. Use change_threshold."
        else:
            status = _judge_interval(metric.direction, metric.against_blessing, margin, is_worsening=True)
            yield status, f"{text}; difference {metric.against_blessing}."
    margin = thresholds.baseline_change_threshold
    if metric.against_baseline is None or (margin is None and metric.metric != next(iter(spec.metrics))):
        return
    status = _judge_interval(metric.direction, metric.against_baseline, margin or 0.0, is_worsening=True)
    text = f"{value} against the naive baseline's {metric.baseline:.4g}; difference {metric.against_baseline}."
    yield status, text


def _margin(metric: MetricPerformance, thresholds: Thresholds) -> tuple[float | None, str]:
    """Return by how much a metric may be worse than at the blessing, and the setting that says so, if one does."""
    relative, absolute = thresholds.relative_change_threshold, thresholds.change_threshold
    if relative is not None:
        known = abs(metric.at_blessing)
        margin = relative * known if known and math.isfinite(known) else None
        return margin, f"relative_change_threshold {relative:.4g}"
    return absolute, "" if absolute is None else f"change_threshold {absolute:.4g}"


def _judge_slices(slices: Sequence[SlicePerformance], metric: MetricPerformance, margin: float) -> Reason:
    asked = f"performance.slices.change_threshold {margin:.4g}"
    judged = {
        each.name: _judge_interval(metric.direction, each.against_blessing, margin, is_worsening=True)
        for each in slices
    }
    for status in (DEGRADED, PerformanceStatus.UNDECIDED):
        listed = [each for each in slices if judged[each.name] is status]
        if listed:
            shown = bounded((f"{each.name} ({each.against_blessing}, n={each.n_rows})" for each in listed), 3)
            return status, f"{metric.metric} in {shown}; {asked}."
    return OK, f"{metric.metric} in {counted(len(slices), 'slice')}; {asked}."


def _judge_interval(
    direction: Direction, interval: Interval, limit: float, *, is_worsening: bool = False
) -> PerformanceStatus:
    """Say whether a whole interval is beyond a limit.

    :param is_worsening: whether the limit is of a worsening, which is positive in either direction, and not a value.
    """
    bounds = (interval.low, interval.high)
    if not all(math.isfinite(bound) for bound in bounds):
        return PerformanceStatus.UNDECIDED
    if is_worsening:
        best = min(worsening(direction, bound) for bound in bounds) - limit
    else:
        best = min(worsening(direction, bound - limit) for bound in bounds)
    return DEGRADED if best > 0 else OK


def judge_clocks(labels: LabelCounts, n_future: int) -> tuple[str, ...]:
    """Say what lies in the future that can't, seen from now.

    :param n_future: predictions whose moment lies after now.
    """
    found = []
    if n_future:
        found.append(f"In the future: {counted(n_future, 'prediction')} of the log.")
    if labels.n_future > _MAX_BAD * labels.n_rows:
        found.append(f"{labels.n_future} of {labels.n_rows} labels become known in the future.")
    return tuple(f"{each} See the clocks and time zones; times without a zone are in UTC." for each in found)


def decide_degradation(
    windows: Sequence[WindowPerformance],
    labels: LabelCounts,
    spec: PerformanceSpec,
    *,
    clocks: tuple[str, ...] = (),
    younger: str = "",
) -> tuple[PerformanceStatus, tuple[str, ...]]:
    """Decide from the last windows whether a model is worse, with the reasons.

    :param windows: the newest first, as many as ``spec.windows.of``.
    :param clocks: what is wrong with the clocks, from :func:`judge_clocks`.
    :param younger: what is said of predictions that do not count yet, from :func:`tell_younger`, where none does.
    """
    newest, rule = windows[0], spec.windows
    n_worse = sum(window.status is DEGRADED for window in windows)
    status = newest.status
    if n_worse >= rule.n:
        status = DEGRADED
    elif clocks:
        status = PerformanceStatus.BAD_CLOCK
    elif status is DEGRADED:
        status = PerformanceStatus.SUSPECT
    text = (
        f"Worse than allowed: {n_worse} of {counted(len(windows), 'window')}; it takes {rule.n} for a degradation. The "
        f"newest, from {newest.start:%Y-%m-%d} until before {newest.end:%Y-%m-%d}, is {newest.status}."
    )
    told = (younger,) if younger and newest.status is PerformanceStatus.NO_PREDICTIONS else ()
    return status, (*clocks, text, *newest.reasons, *told, *_of_labels(labels, spec))


def tell_younger(n_younger: int, first: datetime | None, spec: PerformanceSpec) -> str:
    """Say of predictions that came after the newest window how many there are, and when they count.

    :param first: the moment of the first of them, in UTC.
    """
    if first is None:
        return "It has none after the window either."
    day = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (
        f"It has {counted(n_younger, 'prediction')} after the window, which do not count yet: the first is from "
        f"{first:%Y-%m-%d} and counts from {day + spec.maturity:%Y-%m-%d %H:%M} UTC on (the end of its day and "
        f"performance.maturity {shown_duration(spec.maturity)})."
    )


def _of_labels(labels: LabelCounts, spec: PerformanceSpec) -> Iterator[str]:
    """Say what is odd about the labels, if anything is."""
    if not labels.n_rows:
        yield "No label has come."
    contradict = "their labels contradict each other, so none of these counts"
    if not spec.known_at:
        contradict += "; performance.known_at would say which label is the last"
    predictions = (labels.n_predictions, "labelled prediction")
    for n, (n_all, noun), text in (
        (labels.n_null, (labels.n_rows, "label"), "null, so not known yet"),
        (labels.n_repeated, (labels.n_rows, "label"), "came again for the same prediction"),
        (labels.n_changed, predictions, "their label was changed, the last one known counts"),
        (labels.n_contradicting, predictions, contradict),
        (labels.n_unknown, predictions, "the log does not have them"),
    ):
        if n:
            yield f"{n} of {counted(n_all, noun)}: {text}."
