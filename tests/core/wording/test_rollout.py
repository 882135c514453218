"""What an online validation says, each sentence once."""

from __future__ import annotations

from functools import partial

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.wording import sentence_of, sentences_of
from tests.core.reasons import reread

reason = partial(Reason, stage="rollout")


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            reason(
                rule="min_requests",
                setting="rollout.min_requests",
                observed=0,
                required=1000,
                facts={"champion": 0, "challenger": 999},
            ),
            "The champion had 0 requests and the challenger 999; each needs rollout.min_requests 1000.",
        ),
        (
            reason(
                rule="error_rate",
                setting="rollout.max_error_rate_increase",
                observed=0.079,
                required=0.01,
                interval=Interval(difference=0.079, low=0.06971, high=0.0889),
                n=5000,
                facts={"n_failed": 400, "champion": [5, 4000]},
            ),
            "400 of the challenger's 5000 requests failed, of the champion's 5 of 4000: difference [0.0697, 0.0889], "
            "rollout.max_error_rate_increase 0.01.",
        ),
        (
            reason(
                rule="latency_p95",
                setting="rollout.max_latency_p95_increase",
                required=0.25,
                facts={"challenger_ms": [29.81, float("inf")], "champion_ms": [14.6, 15.9]},
            ),
            "p95 latency [29.8, inf] ms against the champion's [14.6, 15.9] ms, rollout.max_latency_p95_increase 0.25.",
        ),
        (
            reason(rule="no_latencies", setting="rollout.max_latency_p95_increase", required=0.25),
            "The latencies were not logged, rollout.max_latency_p95_increase 0.25.",
        ),
        (
            reason(
                rule="prediction_shift",
                setting="rollout.max_prediction_shift",
                observed=0.878,
                required=0.2,
                facts={"shift": 0.8789, "by_chance": 0.00041},
            ),
            "The predictions' population stability index is 0.879, of which 0.00041 by chance, "
            "rollout.max_prediction_shift 0.2.",
        ),
        (reason(rule="no_predictions"), "There are no predictions to compare on one of the sides."),
        (
            reason(
                rule="labels",
                facts={"status": "DEGRADED"},
                because=(
                    Reason(stage="monitoring", rule="no_labels"),
                    Reason(stage="monitoring", rule="recorded", recorded="As it was."),
                ),
            ),
            "Labels say DEGRADED: No label has come. As it was.",
        ),
    ],
)
def test_the_sentence_is_made_of_the_numbers(found: Reason, sentence: str):
    assert sentence_of(found) == sentence
    assert sentences_of(reread(found)) == (sentence,)
