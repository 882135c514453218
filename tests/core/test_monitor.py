from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_mlops.core.monitor import RetrainDecision, decide_retraining


@pytest.mark.parametrize(
    ("settings", "trains", "words"),
    [
        ({"force": True, "champion_version": 3, "concluded": "v3"}, True, "Forced"),
        ({"force": False, "champion_version": 3, "concluded": "v3"}, False, "are those of v3. Set force"),
        ({"force": False, "champion_version": None, "concluded": "run 1"}, False, "are those of run 1"),
        ({"force": False, "champion_version": None, "concluded": None}, True, "Cold start"),
        ({"force": False, "champion_version": 3, "concluded": None}, True, "changed since v3"),
    ],
)
def test_unchanged_data_code_and_parameters_do_not_train_again_unless_forced(settings, trains, words):
    should_retrain, reasons = decide_retraining(**settings)
    assert should_retrain is trains
    assert words in reasons[0]


def test_a_decision_to_train_keeps_what_the_drift_check_found():
    _, reasons = decide_retraining(force=False, champion_version=3, concluded=None, shifts=("x moved",))
    assert reasons[-1] == "x moved"


def test_a_decision_reads_as_a_sentence_also_when_it_is_no():
    decision = RetrainDecision(
        model_name="churn",
        should_retrain=False,
        reasons=("Nothing new.",),
        snapshot_digest="s",
        fingerprint="f",
        run_id="r",
        trigger="manual",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert str(decision) == "churn: not retrained. Nothing new."
