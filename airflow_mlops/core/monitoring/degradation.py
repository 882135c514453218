"""When a model counts as worse: the rules for a window, and for several of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from airflow_mlops.core.monitoring.performance_report import (
    LabelCounts,
    MetricPerformance,
    PerformanceStatus,
    PredictionCounts,
    SlicePerformance,
    WindowPerformance,
)
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.specs.evaluate import Thresholds
from airflow_mlops.specs.metrics import Direction
from airflow_mlops.specs.performance import PerformanceSpec

__all__ = ["decide_degradation", "judge_clocks", "judge_counts", "judge_scores", "tell_younger"]

OK, DEGRADED = PerformanceStatus.OK, PerformanceStatus.DEGRADED
UNDECIDED = PerformanceStatus.UNDECIDED

_MAX_BAD = 0.01
"""More labels than this share that are bad, or known too early, and what the others say is no answer."""

_N_SLICES = 3
_SLICES = "performance.slices.change_threshold"

_reason = partial(Reason, stage="monitoring")


def judge_counts(counts: PredictionCounts, spec: PerformanceSpec) -> Reason | None:
    """Return why a window can't be judged, ``None`` where it can.

    >>> from datetime import timedelta
    >>> from airflow_mlops.specs import DatasetSpec
    >>> spec = PerformanceSpec(
    ...     labels=DatasetSpec(path="labels.csv"), label="y", id="id", maturity="P7D", metrics={"accuracy": {}}
    ... )
    >>> found = judge_counts(PredictionCounts(n_predictions=300, n_labelled=1), spec)
    >>> found.verdict, found.observed, found.required, found.n
    (<PerformanceStatus.NOT_ENOUGH_LABELS: 'NOT_ENOUGH_LABELS'>, 1, 200, 300)
    """
    if not counts.n_predictions:
        return _reason(rule="no_predictions", verdict=PerformanceStatus.NO_PREDICTIONS, observed=0, n=0)
    answered = counts.n_answers / counts.n_predictions
    if not counts.n_answers or answered < spec.min_coverage:
        return _reason(
            rule="no_answers",
            verdict=PerformanceStatus.NO_ANSWERS,
            setting="performance.min_coverage",
            observed=answered,
            required=spec.min_coverage,
            n=counts.n_predictions,
            facts={"n_failed": counts.n_failed},
        )
    n_found = counts.n_labelled + counts.n_bad
    if counts.n_early > _MAX_BAD * n_found:
        return _of_bad("early_labels", PerformanceStatus.BAD_CLOCK, counts.n_early, n_found)
    if counts.n_bad > _MAX_BAD * n_found:
        return _of_bad("bad_labels", PerformanceStatus.BAD_LABELS, counts.n_bad, n_found)
    if counts.n_labelled < spec.min_rows:
        return _too_few_labels(counts, spec, "min_rows", counts.n_labelled)
    if counts.coverage < spec.min_coverage:
        return _too_few_labels(counts, spec, "min_coverage", counts.coverage)
    return None


def _of_bad(rule: str, verdict: PerformanceStatus, n_bad: int, n: int) -> Reason:
    observed = n_bad / n if n else None
    return _reason(rule=rule, verdict=verdict, observed=observed, required=_MAX_BAD, n=n, facts={"n_bad": n_bad})


def _too_few_labels(counts: PredictionCounts, spec: PerformanceSpec, setting: str, observed: float) -> Reason:
    """Name the setting that is not met first; the sentence says both."""
    required = {"min_rows": spec.min_rows, "min_coverage": spec.min_coverage}
    return _reason(
        rule="not_enough_labels",
        verdict=PerformanceStatus.NOT_ENOUGH_LABELS,
        setting=f"performance.{setting}",
        observed=observed,
        required=required[setting],
        n=counts.n_answers,
        facts={"n_labelled": counts.n_labelled, **required},
    )


def judge_scores(
    metrics: Sequence[MetricPerformance], slices: Sequence[SlicePerformance], spec: PerformanceSpec
) -> tuple[PerformanceStatus, tuple[Reason, ...]]:
    """Judge a window by all of its metrics and slices, each with a reason; those that decide come first."""
    reasons = [reason for metric in metrics for reason in _judge_metric(metric, spec)]
    if slices and spec.slices and spec.slices.change_threshold is not None:
        reasons.append(_judge_slices(slices, metrics[0], spec.slices.change_threshold))
    order = (DEGRADED, UNDECIDED, OK)
    found = {reason.verdict for reason in reasons}
    ordered = tuple(reason for each in order for reason in reasons if reason.verdict == each)
    return next((each for each in order if each in found), UNDECIDED), ordered


def _judge_metric(metric: MetricPerformance, spec: PerformanceSpec) -> Iterator[Reason]:
    thresholds, value = spec.metrics[metric.metric], metric.value
    asked = f"performance.metrics.{metric.metric}"
    if (limit := thresholds.value_threshold) is not None:
        yield _reason(
            rule="value_threshold",
            verdict=_judge_interval(metric.direction, value, limit),
            subject=metric.metric,
            setting=f"{asked}.value_threshold",
            observed=value.difference,
            required=limit,
            interval=value,
        )
    facts = {"value": value.difference, "low": value.low, "high": value.high}
    if setting := _change_setting(thresholds):
        margin = _margin(metric, thresholds)
        against = metric.against_blessing
        status = UNDECIDED if margin is None else _judge_interval(metric.direction, against, margin, is_worsening=True)
        yield _reason(
            rule="no_margin" if margin is None else "change",
            verdict=status,
            subject=metric.metric,
            setting=f"{asked}.{setting}",
            observed=against.difference,
            required=margin,
            interval=against,
            facts={**facts, "at_blessing": metric.at_blessing, "threshold": getattr(thresholds, setting)},
        )
    margin, against_baseline = thresholds.baseline_change_threshold, metric.against_baseline
    if against_baseline is None or (margin is None and metric.metric != next(iter(spec.metrics))):
        return
    yield _reason(
        rule="baseline_change",
        verdict=_judge_interval(metric.direction, against_baseline, margin or 0.0, is_worsening=True),
        subject=metric.metric,
        setting=f"{asked}.baseline_change_threshold",
        observed=against_baseline.difference,
        required=margin or 0.0,
        interval=against_baseline,
        facts={**facts, "baseline": metric.baseline},
    )


def _change_setting(thresholds: Thresholds) -> str:
    """Return the setting that says by how much a metric may be worse than at the blessing; empty: none does."""
    if thresholds.relative_change_threshold is not None:
        return "relative_change_threshold"
    return "" if thresholds.change_threshold is None else "change_threshold"


def _margin(metric: MetricPerformance, thresholds: Thresholds) -> float | None:
    """Return by how much a metric may be worse than at the blessing; ``None``: nothing is a fraction of what it was."""
    if thresholds.relative_change_threshold is None:
        return thresholds.change_threshold
    known = abs(metric.at_blessing)
    return thresholds.relative_change_threshold * known if known and math.isfinite(known) else None


def _judge_slices(slices: Sequence[SlicePerformance], metric: MetricPerformance, margin: float) -> Reason:
    judged = [_judge_slice(each, metric.direction, margin) for each in slices]
    status = next((each for each in (DEGRADED, UNDECIDED) if any(one.verdict == each for one in judged)), OK)
    listed = [] if status is OK else [each for each in judged if each.verdict == status]
    return _reason(
        rule="slices",
        verdict=status,
        subject=metric.metric,
        setting=_SLICES,
        required=margin,
        n=len(listed or judged),
        because=tuple(listed[:_N_SLICES]),
    )


def _judge_slice(each: SlicePerformance, direction: Direction, margin: float) -> Reason:
    return _reason(
        rule="slice",
        verdict=_judge_interval(direction, each.against_blessing, margin, is_worsening=True),
        subject=each.name,
        setting=_SLICES,
        observed=each.against_blessing.difference,
        required=margin,
        interval=each.against_blessing,
        n=each.n_rows,
    )


def _judge_interval(
    direction: Direction, interval: Interval, limit: float, *, is_worsening: bool = False
) -> PerformanceStatus:
    """Say whether a whole interval is beyond a limit.

    :param is_worsening: whether the limit is of a worsening, which is positive in either direction, and not a value.
    """
    bounds = (interval.low, interval.high)
    if not all(math.isfinite(bound) for bound in bounds):
        return UNDECIDED
    if is_worsening:
        best = min(worsening(direction, bound) for bound in bounds) - limit
    else:
        best = min(worsening(direction, bound - limit) for bound in bounds)
    return DEGRADED if best > 0 else OK


def judge_clocks(labels: LabelCounts, n_future: int) -> tuple[Reason, ...]:
    """Return what lies in the future that can't, seen from now.

    :param n_future: predictions whose time lies after now.
    """
    bad_clock, found = PerformanceStatus.BAD_CLOCK, []
    if n_future:
        found.append(_reason(rule="future_predictions", verdict=bad_clock, observed=n_future, required=0, n=n_future))
    if labels.n_future > _MAX_BAD * labels.n_rows:
        found.append(_of_bad("future_labels", bad_clock, labels.n_future, labels.n_rows))
    return tuple(found)


def decide_degradation(
    windows: Sequence[WindowPerformance],
    labels: LabelCounts,
    spec: PerformanceSpec,
    *,
    clocks: tuple[Reason, ...] = (),
    younger: Reason | None = None,
) -> tuple[PerformanceStatus, tuple[Reason, ...]]:
    """Decide from the last windows whether a model is worse, with the reasons.

    :param windows: the newest first, as many as ``spec.windows.of``.
    :param clocks: what is wrong with the clocks, from :func:`judge_clocks`.
    :param younger: what there is of predictions that do not count yet, from :func:`tell_younger`; it is said where none
        does.
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
    summary = _reason(
        rule="windows",
        verdict=status,
        setting="performance.windows",
        observed=n_worse,
        required=rule.n,
        n=len(windows),
        facts={"start": newest.start.isoformat(), "end": newest.end.isoformat(), "newest": newest.status},
    )
    told = (younger,) if younger and newest.status is PerformanceStatus.NO_PREDICTIONS else ()
    return status, (*clocks, summary, *newest.reasons, *told, *_of_labels(labels, spec))


def tell_younger(n_younger: int, first: datetime | None, spec: PerformanceSpec) -> Reason:
    """Return how many predictions came after the newest window, and when they count.

    :param first: the time of the first of them, in UTC; ``None``: there is none.
    """
    if first is None:
        return _reason(rule="no_younger_predictions", n=0)
    day = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return _reason(
        rule="younger_predictions",
        setting="performance.maturity",
        n=n_younger,
        facts={
            "first": first.isoformat(),
            "counts_from": (day + spec.maturity).isoformat(),
            "maturity_s": spec.maturity.total_seconds(),
        },
    )


def _of_labels(labels: LabelCounts, spec: PerformanceSpec) -> Iterator[Reason]:
    """Return what is odd about the labels, if anything is."""
    if not labels.n_rows:
        yield _reason(rule="no_labels", observed=0, n=0)
    for rule, n, n_all in (
        ("null_labels", labels.n_null, labels.n_rows),
        ("repeated_labels", labels.n_repeated, labels.n_rows),
        ("changed_labels", labels.n_changed, labels.n_predictions),
        ("contradicting_labels", labels.n_contradicting, labels.n_predictions),
        ("unknown_labels", labels.n_unknown, labels.n_predictions),
    ):
        if n:
            facts = {"known_at": spec.known_at or ""} if rule == "contradicting_labels" else {}
            yield _reason(rule=rule, observed=n, n=n_all, facts=facts)
