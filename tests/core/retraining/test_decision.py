from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.retraining.decision import RetrainDecision, decide_retraining
from airflow_mlops.errors import SpecError
from airflow_mlops.specs import RetrainPolicy

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DRIFTED, STABLE = {"drift": "DRIFTED"}, {"drift": "STABLE"}


def entry(days_ago: float, *, trained: bool, recipe: str = "r1", **evidence: str) -> RetrainDecision:
    return RetrainDecision(
        model_name="churn",
        should_retrain=trained,
        reasons=("Nothing new.",),
        snapshot_digest="s",
        fingerprint="f",
        recipe_digest=recipe,
        evidence=evidence,
        run_id="r",
        trigger="manual",
        at=NOW - timedelta(days=days_ago),
    )


def decide(policy: RetrainPolicy | None = None, **changes: Any) -> tuple[bool, tuple[str, ...]]:
    case = {"force": False, "champion_version": 3, "concluded": None, "recipe_digest": "r1", "evidence": {}, "now": NOW}
    return decide_retraining(policy or RetrainPolicy(), **{**case, **changes})


@pytest.mark.parametrize(
    ("case", "trains", "words"),
    [
        ({"force": True, "concluded": "v3"}, True, "Forced"),
        ({"concluded": "v3"}, False, "are those of v3. Set force"),
        ({"champion_version": None, "concluded": "run 1"}, False, "are those of run 1"),
        ({"champion_version": None}, True, "Cold start"),
        ({}, True, "changed since v3"),
    ],
)
def test_unchanged_data_code_and_parameters_do_not_train_again_unless_forced(case, trains, words):
    should_retrain, reasons = decide(**case)
    assert should_retrain is trains
    assert words in reasons[0]


def test_a_decision_keeps_what_the_checks_found_whether_it_is_yes_or_no():
    assert decide(shifts=("x moved",))[1][-1] == "x moved"
    assert decide(RetrainPolicy(when="evidence"), evidence=STABLE, shifts=("x moved",))[1][-1] == "x moved"


def test_by_evidence_new_data_alone_is_not_enough_and_an_alarm_is():
    policy = RetrainPolicy(when="evidence")
    assert decide(policy, evidence=STABLE) == (
        False,
        ("The evidence does not ask for it (drift STABLE), retraining.alarms 1 of 1.",),
    )
    assert decide(policy, evidence={}) == (
        False,
        ("The evidence does not ask for it (no check was made), retraining.alarms 1 of 1.",),
    )
    for evidence in (DRIFTED, {**STABLE, "performance": "DEGRADED"}):
        assert decide(policy, evidence=evidence)[0]
    for unknown in ({"drift": "TOO_FEW_ROWS"}, {"performance": "NOT_ENOUGH_LABELS"}):
        assert not decide(policy, evidence=unknown)[0], "what can't be told is no alarm, and is said"


def test_n_of_m_counts_one_kind_of_alarm_since_the_last_training():
    policy = RetrainPolicy(when="evidence", alarms=2, of=3)
    moved, still = (entry(2, trained=False, **DRIFTED), entry(1, trained=False, **STABLE))
    assert not decide(policy, evidence=DRIFTED)[0]
    should_retrain, (reason,) = decide(policy, evidence=DRIFTED, history=[moved, still])
    assert should_retrain
    assert reason == "DRIFTED in 2 of the last 3 runs, retraining.alarms 2 of 3."
    assert not decide(policy, evidence=DRIFTED, history=[moved, still, still])[0], "too long ago"
    assert not decide(policy, evidence=DRIFTED, history=[moved, entry(1.5, trained=True), still])[0], "dealt with"
    assert not decide(policy, evidence={"performance": "DEGRADED"}, history=[moved])[0], "of another kind"


def test_a_champion_grows_too_old_and_other_code_is_a_reason_of_its_own():
    policy = RetrainPolicy(when="evidence", max_age=timedelta(days=30))
    assert not decide(policy, evidence=STABLE, history=[entry(29, trained=True)])[0]
    should_retrain, (reason,) = decide(policy, evidence=STABLE, history=[entry(30, trained=True)])
    assert should_retrain
    assert "retraining.max_age is P30D" in reason
    should_retrain, (reason,) = decide(policy, evidence=STABLE, history=[entry(1, trained=True, recipe="r0")])
    assert should_retrain
    assert reason.startswith("Code or parameters changed since the training of 2026-03-09 12:00.")


def test_cooldown_and_budget_hold_back_all_but_a_person():
    cooldown = RetrainPolicy(cooldown=timedelta(days=2))
    should_retrain, (reason,) = decide(cooldown, history=[entry(1, trained=True)])
    assert not should_retrain
    assert reason.startswith("Cooldown until 2026-03-11 12:00 (retraining.cooldown P2D")
    assert decide(cooldown, history=[entry(1, trained=True)], force=True)[0]
    assert decide(cooldown, history=[entry(2, trained=True)])[0]
    weekly = RetrainPolicy(max_per_week=2)
    twice = [entry(6, trained=True), entry(3, trained=True), entry(1, trained=False)]
    should_retrain, (reason,) = decide(weekly, history=twice)
    assert not should_retrain
    assert "2 trainings in the last seven days, retraining.max_per_week is 2" in reason
    assert decide(weekly, history=[entry(7, trained=True), *twice[1:]])[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"when": "evidence", "alarms": 3, "of": 2}, "alarms 3 of 2 runs can never be"),
        ({"of": 2}, "are for `when: evidence`"),
        ({"max_age": "P30D"}, "are for `when: evidence`"),
        ({"cooldown": 3600}, "cooldown"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings: dict[str, Any], said: str):
    with pytest.raises(SpecError, match=said):
        RetrainPolicy.parse(settings)


def test_a_decision_reads_as_a_sentence_also_when_it_is_no():
    assert str(entry(0, trained=False)) == "churn: not retrained. Nothing new."


def test_an_alarm_of_the_monitoring_is_evidence_and_is_braked_as_any_other():
    policy = RetrainPolicy(when="evidence", cooldown=timedelta(days=1))
    assert decide(policy, evidence=STABLE, alarms=("Alarm.",), shifts=("x moved",)) == (True, ("Alarm.", "x moved"))
    assert decide(alarms=("Alarm.",)) == (True, ("Data, code or parameters changed since v3.", "Alarm."))
    should_retrain, reasons = decide(policy, alarms=("Alarm.",), history=[entry(0.5, trained=True)])
    assert not should_retrain
    assert reasons[1] == "Alarm."


def test_an_alarm_that_nothing_new_can_answer_stands_in_the_no_with_what_to_do():
    found = {"alarms": ("Alarm.", "x moved"), "shifts": ("x moved", "z moved")}
    should_retrain, reasons = decide(RetrainPolicy(when="evidence"), concluded="v3", **found)
    assert not should_retrain
    assert reasons[0] == (
        "Nothing new: data, code and parameters are those of v3. So no training can answer the alarm: it needs new "
        "rows. Deliver them, or set force to train all the same; if the champion does harm, roll back."
    )
    assert reasons[1:] == ("Alarm.", "x moved", "z moved"), "each once"
    assert decide(force=True, **found)[1] == ("Forced by the run's parameters.", "Alarm.", "x moved")
