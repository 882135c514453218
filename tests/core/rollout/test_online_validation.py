from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.rollout.online_validation import (
    LATENCY_EDGES_MS,
    RolloutReport,
    RolloutSide,
    RolloutVerdict,
    error_rate_difference,
    judge_rollout,
    latency_interval,
    require_healthy,
)
from airflow_mlops.errors import NotBlessedError
from airflow_mlops.specs import RolloutSpec
from tests.core.reasons import only
from tests.core.value_cases import ROLLOUT

WATCHED, HEALTHY, UNHEALTHY, INCONCLUSIVE = RolloutVerdict
LABELS = {"no": 900, "yes": 100}
VERSION = {"model_name": "co2", "model_digest": "sha256:1", "run_id": "r", "snapshot_digest": "", "evidence_digest": ""}


def _binned(latencies_ms: np.ndarray) -> dict[int, int]:
    places, counts = np.unique(np.searchsorted(LATENCY_EDGES_MS, latencies_ms), return_counts=True)
    return dict(zip(places.tolist(), counts.tolist(), strict=True))


def _side(version: int, n: int = 5000, *, failed: int = 5, scale: float = 1.0, seed: int = 0) -> RolloutSide:
    latencies = np.random.default_rng(seed + version).gamma(4, 2 * scale, n)
    predictions = {label: count * n // 1000 for label, count in LABELS.items()}
    return RolloutSide(
        model_version=version, n_requests=n, n_failed=failed, latencies=_binned(latencies), predictions=predictions
    )


CHAMPION = _side(1)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((6, 7), (2, 7), (0.0582, 0.8062))],
)
def test_the_difference_of_error_rates_has_the_interval_of_newcombes_table(first, second, expected):
    challenger = RolloutSide(model_version=2, n_requests=first[1], n_failed=first[0])
    champion = RolloutSide(model_version=1, n_requests=second[1], n_failed=second[0])
    assert error_rate_difference(champion, challenger, 0.95) == pytest.approx(expected, abs=5e-5)


@pytest.mark.statistics
def test_the_interval_of_a_latency_holds_the_true_one_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = float(np.quantile(rng.gamma(4, 2, 1_000_000), 0.95))
    hits = [
        low <= truth <= high
        for low, high in (latency_interval(_binned(rng.gamma(4, 2, 1000)), 0.95, 0.95) for _ in range(400))
    ]
    assert np.mean(hits) >= 0.94


def test_a_latency_beyond_all_bins_is_counted_and_none_is_nan():
    low, high = latency_interval({len(LATENCY_EDGES_MS): 1000}, 0.95, 0.95)
    assert (low, high) == (LATENCY_EDGES_MS[-1], math.inf)
    assert all(math.isnan(end) for end in latency_interval({}, 0.95, 0.95))


def test_a_version_that_does_as_the_champion_does_is_watched_and_in_the_end_healthy():
    challenger = _side(2)
    for is_last, expected in ((False, WATCHED), (True, HEALTHY)):
        verdict, reasons = judge_rollout(
            champion=CHAMPION, challenger=challenger, rollout=RolloutSpec(), is_last=is_last
        )
        assert verdict is expected
        assert [reason.rule for reason in reasons] == ["error_rate", "latency_p95", "prediction_shift"]
        assert {reason.verdict for reason in reasons} == {HEALTHY}
        assert all(reason.observed <= reason.required for reason in reasons)


@pytest.mark.parametrize(
    ("challenger", "rule", "observed"),
    [
        (_side(2, failed=400), "error_rate", pytest.approx(395 / 5000)),
        (_side(2, scale=2), "latency_p95", pytest.approx(1.0, abs=0.1)),
        (replace(_side(2), predictions={"no": 2500, "yes": 2500}), "prediction_shift", pytest.approx(0.88, abs=0.01)),
        (replace(_side(2), predictions={"no": 4500, "not finite": 500}), "prediction_shift", None),
    ],
)
def test_harm_ends_it_at_once_and_is_said_first(challenger: RolloutSide, rule: str, observed: float | None):
    verdict, reasons = judge_rollout(champion=CHAMPION, challenger=challenger, rollout=RolloutSpec(), is_last=False)
    assert verdict is UNHEALTHY
    first = reasons[0]
    assert (first.rule, first.verdict, first.n) == (rule, UNHEALTHY, 5000)
    assert first.observed > first.required
    assert observed is None or first.observed == observed


def test_the_numbers_of_both_sides_are_kept():
    challenger = _side(2, failed=400)
    _, reasons = judge_rollout(champion=CHAMPION, challenger=challenger, rollout=RolloutSpec(), is_last=True)
    failed, latency = only(reasons, "error_rate"), only(reasons, "latency_p95")
    assert failed.facts == {"n_failed": 400, "champion": [5, 5000]}
    assert failed.setting == "rollout.max_error_rate_increase"
    level = 1 - 0.05 / RolloutSpec().checks
    assert (failed.interval.low, failed.interval.high) == error_rate_difference(CHAMPION, challenger, level)
    assert latency.facts == {
        "challenger_ms": list(latency_interval(challenger.latencies, 0.95, level)),
        "champion_ms": list(latency_interval(CHAMPION.latencies, 0.95, level)),
    }


@pytest.mark.parametrize(
    ("champion", "challenger", "rule", "observed", "required"),
    [
        (CHAMPION, _side(2, n=999), "min_requests", 999, 1000),
        (_side(1, n=0, failed=0), _side(2), "min_requests", 0, 1000),
        (CHAMPION, _side(2, n=1000, failed=8), "error_rate", pytest.approx(0.007), 0.01),
        (CHAMPION, replace(_side(2), latencies={}), "no_latencies", None, 0.25),
        (CHAMPION, replace(_side(2), predictions={}), "no_predictions", None, 0.2),
    ],
)
def test_what_cannot_be_told_is_never_healthy(
    champion: RolloutSide, challenger: RolloutSide, rule: str, observed: float | None, required: float
):
    verdict, reasons = judge_rollout(champion=champion, challenger=challenger, rollout=RolloutSpec(), is_last=True)
    assert verdict is INCONCLUSIVE
    first = reasons[0]
    assert (first.rule, first.verdict, first.observed, first.required) == (rule, INCONCLUSIVE, observed, required)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("DEGRADED", UNHEALTHY), ("SUSPECT", INCONCLUSIVE), ("OK", HEALTHY), ("NOT_ENOUGH_LABELS", HEALTHY)],
)
def test_labels_that_have_come_count_and_those_that_have_not_decide_nothing(status: str, expected: RolloutVerdict):
    as_the_labels_say = Reason(stage="monitoring", rule="no_labels")
    outcomes = PerformanceReport(
        model_name="m",
        model_version=2,
        status=PerformanceStatus(status),
        reasons=(as_the_labels_say,),
        checked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    verdict, reasons = judge_rollout(
        champion=CHAMPION, challenger=_side(2), rollout=RolloutSpec(), outcomes=outcomes, is_last=True
    )
    assert verdict is expected
    said = only(reasons, "labels")
    assert (said.verdict == expected, said.facts["status"]) == (True, status)
    assert said.because == (as_the_labels_say,)


@pytest.mark.statistics
def test_looking_often_finds_harm_by_chance_in_at_most_one_case_in_twenty_and_real_harm_nearly_always():
    rng, rollout = np.random.default_rng(1), RolloutSpec(checks=10, max_error_rate_increase=0)

    def ends_unhealthy(challengers_rate: float) -> bool:
        champion, challenger = RolloutSide(model_version=1), RolloutSide(model_version=2)
        for look in range(1, 11):
            champion, challenger = (
                replace(
                    side,
                    n_requests=side.n_requests + 1000,
                    n_failed=side.n_failed + int(rng.binomial(1000, rate)),
                    latencies={100: 1000 * look},
                    predictions={label: count * look for label, count in LABELS.items()},
                )
                for side, rate in ((champion, 0.02), (challenger, challengers_rate))
            )
            verdict, _ = judge_rollout(champion=champion, challenger=challenger, rollout=rollout, is_last=look == 10)
            if verdict is UNHEALTHY:
                return True
        return False

    assert np.mean([ends_unhealthy(0.02) for _ in range(400)]) <= 0.05
    assert np.mean([ends_unhealthy(0.03) for _ in range(100)]) >= 0.8


def test_a_report_of_version_1_keeps_its_sentences():
    side = {"model_version": 1, "n_requests": 3}
    report = RolloutReport.from_dict(
        {
            "kind": "RolloutReport",
            "schema_version": 1,
            "model_name": "m",
            "verdict": "WATCHED",
            "reasons": ["The champion had 3 requests."],
            "mode": "canary",
            "share": 0.1,
            "champion": side,
            "challenger": {**side, "model_version": 2},
            "since": "2026-01-31T12:00:00Z",
            "until": "2026-01-31T12:00:00Z",
            "look": 1,
            "n_looks": 4,
            "key": "k",
        }
    )
    assert str(report) == "m v2 as canary: WATCHED. The champion had 3 requests."
    assert RolloutReport.from_dict(report.to_dict()) == report


def test_what_is_not_limited_is_not_judged():
    rollout = RolloutSpec(max_latency_p95_increase=None, max_prediction_shift=None)
    slow = _side(2, scale=9)
    verdict, reasons = judge_rollout(champion=CHAMPION, challenger=slow, rollout=rollout, is_last=True)
    assert (verdict, len(reasons)) == (HEALTHY, 1)


def test_only_the_version_that_was_healthy_is_promoted():
    report = replace(ROLLOUT, verdict=HEALTHY)
    require_healthy(report, ModelVersion(model_version=3, **VERSION))
    with pytest.raises(NotBlessedError, match=r"^co2 v4 not promoted\. co2 v3 as canary: HEALTHY\."):
        require_healthy(report, ModelVersion(model_version=4, **VERSION))
    with pytest.raises(NotBlessedError, match="co2 v3 not promoted"):
        require_healthy(replace(ROLLOUT, verdict=UNHEALTHY), ModelVersion(model_version=3, **VERSION))
