"""The sentences of an online validation."""

from __future__ import annotations

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import monitoring
from airflow_mlops.core.wording._texts import wording_by_rule

__all__ = ["say"]


def _min_requests(reason: Reason) -> str:
    return (
        f"The champion had {reason.facts['champion']} requests and the challenger {reason.facts['challenger']}; each "
        f"needs {reason.setting} {reason.required}."
    )


def _error_rate(reason: Reason) -> str:
    n_failed, n_requests = reason.facts["champion"]
    interval = reason.interval
    difference = f"difference [{interval.low:.3g}, {interval.high:.3g}], " if interval else ""
    return (
        f"{reason.facts['n_failed']} of the challenger's {reason.n} requests failed, of the champion's {n_failed} of "
        f"{n_requests}: {difference}{reason.setting} {reason.required:g}."
    )


def _latency_p95(reason: Reason) -> str:
    (low, high), (champion_low, champion_high) = reason.facts["challenger_ms"], reason.facts["champion_ms"]
    return (
        f"p95 latency [{low:.3g}, {high:.3g}] ms against the champion's [{champion_low:.3g}, {champion_high:.3g}] ms, "
        f"{reason.setting} {reason.required:g}."
    )


def _no_latencies(reason: Reason) -> str:
    return f"The latencies were not logged, {reason.setting} {reason.required:g}."


def _prediction_shift(reason: Reason) -> str:
    return (
        f"The predictions' population stability index is {reason.facts['shift']:.3g}, of which "
        f"{reason.facts['by_chance']:.2g} by chance, {reason.setting} {reason.required:g}."
    )


def _labels(reason: Reason) -> str:
    return f"Labels say {reason.facts['status']}: {' '.join(map(monitoring.say, reason.because))}"


say = wording_by_rule(
    {
        "min_requests": _min_requests,
        "error_rate": _error_rate,
        "latency_p95": _latency_p95,
        "no_latencies": _no_latencies,
        "prediction_shift": _prediction_shift,
        "no_predictions": lambda _: "There are no predictions to compare on one of the sides.",
        "labels": _labels,
    }
)
