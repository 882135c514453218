"""Online validation: whether a version that is tried in production does harm."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import accumulate
from statistics import NormalDist
from typing import Any, ClassVar

from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.stats.drift_statistics import population_stability_index, sampling_noise
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import NotBlessedError
from airflow_mlops.specs.rollout import RolloutSpec

__all__ = [
    "LATENCY_EDGES_MS",
    "RolloutReport",
    "RolloutSide",
    "RolloutVerdict",
    "error_rate_difference",
    "judge_rollout",
    "latency_interval",
    "require_healthy",
]

LATENCY_EDGES_MS = tuple(0.01 * 1.05**step for step in range(400))
"""Upper bounds of the bins that latencies are counted in: 5 % wide, from 10 microseconds to 50 minutes."""

_P95 = 0.95


class RolloutVerdict(StrEnum):
    """What is known of a version that is tried."""

    WATCHED = "WATCHED"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    INCONCLUSIVE = "INCONCLUSIVE"


WATCHED, HEALTHY, UNHEALTHY, INCONCLUSIVE = RolloutVerdict

_reason = partial(Reason, stage="rollout")


@dataclass(frozen=True, kw_only=True)
class RolloutSide:
    """What one side was asked and answered.

    :param n_failed: requests that got no prediction.
    :param latencies: requests by the bin of :data:`LATENCY_EDGES_MS` that they lie in, from 0.
    :param predictions: rows by the bin, or the label, of what was predicted; the same bins on both sides.
    """

    model_version: int
    n_requests: int = 0
    n_failed: int = 0
    latencies: dict[int, int] = field(default_factory=dict)
    predictions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RolloutReport(Value):
    """What a check of a version that is tried has found.

    :param look: 1, 2, 3 … of ``n_looks``.
    :param key: of the deployment.
    """

    schema_version: ClassVar[int] = 2

    model_name: str
    verdict: RolloutVerdict
    reasons: tuple[Reason, ...]
    mode: str
    share: float
    champion: RolloutSide
    challenger: RolloutSide
    since: datetime
    until: datetime
    look: int
    n_looks: int
    key: str
    report_uri: str = ""

    def __str__(self) -> str:
        name = f"{self.model_name} v{self.challenger.model_version}"
        return f"{name} as {self.mode}: {self.verdict}. " + " ".join(sentences_of(self.reasons))

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Read version 1, in which reasons were sentences."""
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="rollout")}


def judge_rollout(
    *,
    champion: RolloutSide,
    challenger: RolloutSide,
    rollout: RolloutSpec,
    outcomes: PerformanceReport | None = None,
    is_last: bool,
) -> tuple[RolloutVerdict, tuple[Reason, ...]]:
    """Judge a version by what both sides did in the same time.

    Each look has its part of the error (Bonferroni), so that looking often does not find harm by chance.

    :param outcomes: what labels that have come already say of the challenger; what they do not tell decides nothing.
    :param is_last: whether there is another look to come, until which what can't be told yet is watched.
    :returns: the verdict, and the reasons, those that decided it first.
    """
    fewest = min(champion.n_requests, challenger.n_requests)
    if fewest < rollout.min_requests:
        too_few = _reason(
            rule="min_requests",
            verdict=INCONCLUSIVE if is_last else WATCHED,
            setting="rollout.min_requests",
            observed=fewest,
            required=rollout.min_requests,
            facts={"champion": champion.n_requests, "challenger": challenger.n_requests},
        )
        return RolloutVerdict(too_few.verdict), (too_few,)
    # Bonferroni: each check gets an equal part of the error.
    level = 1 - (1 - rollout.confidence_level) / rollout.checks
    reasons = [_judge_errors(champion, challenger, rollout, level)]
    if rollout.max_latency_p95_increase is not None:
        reasons.append(_judge_latency(champion, challenger, rollout.max_latency_p95_increase, level))
    if rollout.max_prediction_shift is not None:
        reasons.append(_judge_predictions(champion, challenger, rollout.max_prediction_shift))
    if outcomes:
        reasons.append(_judge_outcomes(outcomes))
    found = {reason.verdict for reason in reasons}
    order = (UNHEALTHY, INCONCLUSIVE, HEALTHY)
    verdict = next(each for each in order if each in found)
    # Harm ends the rollout at any check, its absence is decided by the last one alone.
    if verdict is not UNHEALTHY and not is_last:
        verdict = WATCHED
    return verdict, tuple(reason for each in order for reason in reasons if reason.verdict == each)


def require_healthy(report: RolloutReport, version: ModelVersion) -> None:
    """See that a version that was tried on live requests may be promoted.

    :raises NotBlessedError: when it was not healthy, or another version was tried.
    """
    if report.verdict is not HEALTHY or report.challenger.model_version != version.model_version:
        raise NotBlessedError(
            f"{version.model_name} v{version.model_version} not promoted. {report} The champion stays."
        )


def error_rate_difference(champion: RolloutSide, challenger: RolloutSide, level: float) -> tuple[float, float]:
    """Return the interval of challenger's minus champion's share of failed requests.

    Newcombe's hybrid score interval for two independent proportions (*Statistics in Medicine* 17, 1998, method 10),
    made of Wilson's for each.

    >>> low, high = error_rate_difference(
    ...     RolloutSide(model_version=1, n_requests=100, n_failed=20),
    ...     RolloutSide(model_version=2, n_requests=100, n_failed=30),
    ...     0.95,
    ... )
    >>> round(low, 3), round(high, 3)
    (-0.02, 0.217)
    """
    # The distance of each rate to its own limit, the two added as independent errors are: rates of 0 keep a width.
    p1, low1, high1 = _wilson(challenger.n_failed, challenger.n_requests, level)
    p2, low2, high2 = _wilson(champion.n_failed, champion.n_requests, level)
    return (
        p1 - p2 - math.hypot(p1 - low1, high2 - p2),
        p1 - p2 + math.hypot(high1 - p1, p2 - low2),
    )


def latency_interval(latencies: Mapping[int, int], quantile: float, level: float) -> tuple[float, float]:
    """Return an interval of a quantile of latencies, in milliseconds.

    By order statistics (Conover, *Practical Nonparametric Statistics*, 1999, section 3.2, with the normal
    approximation of the binomial), widened to the bounds of the bins.

    :param latencies: requests by bin of :data:`LATENCY_EDGES_MS`.
    :returns: NaN twice where there are none.
    """
    n = sum(latencies.values())
    if not n:
        return math.nan, math.nan
    spread = _z(level) * math.sqrt(n * quantile * (1 - quantile))
    # The number of latencies below the quantile is binomial, so two ranks enclose it; the bins give their values.
    ranks = (max(math.floor(n * quantile - spread), 1), min(math.ceil(n * quantile + spread), n))
    places = sorted(latencies)
    up_to = list(accumulate(latencies[place] for place in places))
    low, high = (places[bisect_left(up_to, rank)] for rank in ranks)
    # Outwards to the bins' bounds: never narrower than the latencies themselves would give it.
    edges = (0.0, *LATENCY_EDGES_MS, math.inf)
    return edges[low], edges[high + 1]


def _judge_errors(champion: RolloutSide, challenger: RolloutSide, rollout: RolloutSpec, level: float) -> Reason:
    limit = rollout.max_error_rate_increase
    low, high = error_rate_difference(champion, challenger, level)
    difference = challenger.n_failed / challenger.n_requests - champion.n_failed / champion.n_requests
    return _reason(
        rule="error_rate",
        verdict=UNHEALTHY if low > limit else HEALTHY if high <= limit else INCONCLUSIVE,
        setting="rollout.max_error_rate_increase",
        observed=difference,
        required=limit,
        interval=Interval(difference=difference, low=low, high=high),
        n=challenger.n_requests,
        facts={"n_failed": challenger.n_failed, "champion": [champion.n_failed, champion.n_requests]},
    )


def _judge_latency(champion: RolloutSide, challenger: RolloutSide, limit: float, level: float) -> Reason:
    low, high = latency_interval(challenger.latencies, _P95, level)
    champion_low, champion_high = latency_interval(champion.latencies, _P95, level)
    judge = partial(_reason, setting="rollout.max_latency_p95_increase", required=limit)
    if math.isnan(low) or math.isnan(champion_low):
        return judge(rule="no_latencies", verdict=INCONCLUSIVE)
    most = champion_high * (1 + limit)
    now, then = (latency_interval(side.latencies, _P95, 0.0)[1] for side in (challenger, champion))
    return judge(
        rule="latency_p95",
        # Worse if the intervals are apart, fine if their upper ends are in order; in between it can't be decided.
        verdict=UNHEALTHY if low > most else HEALTHY if high <= most else INCONCLUSIVE,
        observed=now / then - 1,
        n=challenger.n_requests,
        facts={"challenger_ms": [low, high], "champion_ms": [champion_low, champion_high]},
    )


def _judge_predictions(champion: RolloutSide, challenger: RolloutSide, limit: float) -> Reason:
    judge = partial(_reason, setting="rollout.max_prediction_shift", required=limit)
    if not sum(champion.predictions.values()) or not sum(challenger.predictions.values()):
        return judge(rule="no_predictions", verdict=INCONCLUSIVE)
    sides = {"reference": champion.predictions, "current": challenger.predictions}
    shift, by_chance = population_stability_index(**sides), sampling_noise(**sides)
    return judge(
        rule="prediction_shift",
        verdict=UNHEALTHY if shift - by_chance > limit else HEALTHY,
        observed=shift - by_chance,
        n=sum(challenger.predictions.values()),
        facts={"shift": shift, "by_chance": by_chance},
    )


def _judge_outcomes(outcomes: PerformanceReport) -> Reason:
    verdicts = {PerformanceStatus.DEGRADED: UNHEALTHY, PerformanceStatus.SUSPECT: INCONCLUSIVE}
    return _reason(
        rule="labels",
        verdict=verdicts.get(outcomes.status, HEALTHY),
        facts={"status": outcomes.status},
        because=outcomes.reasons,
    )


def _wilson(n_hits: int, n: int, level: float) -> tuple[float, float, float]:
    """Return a proportion with Wilson's score interval (1927)."""
    p, z = n_hits / n, _z(level)
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return p, (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
