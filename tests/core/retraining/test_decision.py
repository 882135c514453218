from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.retraining.decision import CheckEvidence, Concluded, RetrainDecision, decide_retraining
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError, SpecError
from airflow_mlops.specs import RetrainPolicy
from tests.core.cases import recorded

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOTHING_NEW = Reason(stage="retraining", rule="recorded", verdict="WAIT", recorded="Nothing new.")


def found(state: str, kind: str = "drift", rows_id: str = "") -> CheckEvidence:
    return CheckEvidence(kind=kind, state=state, rows_id=rows_id)


DRIFTED, STABLE, WORSE = (found("DRIFTED"),), (found("STABLE"),), (found("DEGRADED", "performance"),)
ALERT, X_MOVED, Z_MOVED = recorded("Alert.", "x moved", "z moved", stage="monitoring")


def entry(
    days_ago: float, evidence: tuple[CheckEvidence, ...] = (), *, trained: bool, recipe: str = "r1"
) -> RetrainDecision:
    return RetrainDecision(
        model_name="churn",
        should_retrain=trained,
        reasons=(NOTHING_NEW,),
        snapshot_digest="s",
        fingerprint="f",
        recipe_digest=recipe,
        evidence=evidence,
        run_id="r",
        trigger="manual",
        at=NOW - timedelta(days=days_ago),
    )


def decide(policy: RetrainPolicy | None = None, **changes: Any) -> tuple[bool, tuple[Reason, ...]]:
    case = {"force": False, "champion_version": 3, "concluded": None, "recipe_digest": "r1", "evidence": (), "now": NOW}
    return decide_retraining(policy or RetrainPolicy(), **{**case, **changes})


EARLIER = Concluded(run="r1", outcome="PROMOTED")


@pytest.mark.parametrize(
    ("case", "trains", "rule"),
    [
        ({"force": True, "concluded": EARLIER}, True, "forced"),
        ({"concluded": EARLIER}, False, "nothing_new"),
        ({"champion_version": None, "concluded": EARLIER}, False, "nothing_new"),
        ({"champion_version": None}, True, "cold_start"),
        ({}, True, "new_data"),
    ],
)
def test_unchanged_data_code_and_parameters_do_not_train_again_unless_forced(case, trains, rule):
    should_retrain, (reason,) = decide(**case)
    assert should_retrain is trains
    assert (reason.stage, reason.rule, reason.verdict) == ("retraining", rule, "RETRAIN" if trains else "WAIT")


def test_a_no_names_the_run_that_came_to_an_end_and_a_yes_the_champion():
    bad = Concluded(run="run 1", outcome="PROMOTED", unhealthy_version=3, why_unhealthy="is marked as unhealthy")
    assert decide(concluded=bad)[1][0].facts == {
        "run": "run 1",
        "outcome": "PROMOTED",
        "unhealthy_version": 3,
        "why_unhealthy": "is marked as unhealthy",
        "has_alerts": False,
    }
    assert decide()[1][0].facts == {"champion_version": 3}


def test_a_decision_keeps_what_the_checks_found_whether_it_is_yes_or_no():
    assert decide(shifts=(X_MOVED,))[1][-1] == X_MOVED
    assert decide(RetrainPolicy(when="evidence"), evidence=STABLE, shifts=(X_MOVED,))[1][-1] == X_MOVED


def no_alerts(reason: Reason) -> tuple[Any, ...]:
    assert (reason.rule, reason.verdict, reason.setting) == ("no_alerts", "WAIT", "retraining.min_alerts")
    return reason.facts["states"], reason.observed, reason.required, reason.facts["of"], reason.n


def test_by_evidence_new_data_alone_is_not_enough_and_an_alert_is():
    policy = RetrainPolicy(when="evidence")
    should_retrain, (reason,) = decide(policy, evidence=STABLE)
    assert not should_retrain
    assert no_alerts(reason) == ({"drift": "STABLE"}, 0, 1, 1, 1)
    should_retrain, (reason,) = decide(policy, evidence=())
    assert not should_retrain
    assert no_alerts(reason) == ({}, 0, 1, 1, 1)
    for evidence in (DRIFTED, STABLE + WORSE):
        assert decide(policy, evidence=evidence)[0]
    for unknown in ((found("TOO_FEW_ROWS"),), (found("NOT_ENOUGH_LABELS", "performance"),)):
        assert not decide(policy, evidence=unknown)[0], "what can't be told is no alert, and is said"


def test_n_of_m_counts_one_kind_of_alert_since_the_last_training():
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=3)
    moved, still = (entry(2, DRIFTED, trained=False), entry(1, STABLE, trained=False))
    assert not decide(policy, evidence=DRIFTED)[0]
    should_retrain, (reason,) = decide(policy, evidence=DRIFTED, history=[moved, still])
    assert should_retrain
    assert reason == Reason(
        stage="retraining",
        rule="alerts",
        verdict="RETRAIN",
        subject="drift",
        setting="retraining.min_alerts",
        observed=2,
        required=2,
        n=3,
        facts={"state": "DRIFTED", "of": 3, "noun": "run"},
    )
    assert not decide(policy, evidence=DRIFTED, history=[moved, still, still])[0], "too long ago"
    assert not decide(policy, evidence=DRIFTED, history=[moved, entry(1.5, trained=True), still])[0], "dealt with"
    assert not decide(policy, evidence=WORSE, history=[moved])[0], "of another kind"


def test_rows_that_are_looked_at_again_are_not_counted_again():
    policy, again = RetrainPolicy(when="evidence", min_alerts=2, of=3), (found("DRIFTED", rows_id="sha256:1"),)
    should_retrain, (reason,) = decide(policy, evidence=again, history=[entry(1, again, trained=False)])
    assert not should_retrain
    assert no_alerts(reason) == ({"drift": "DRIFTED"}, 1, 2, 3, 1)


def test_a_champion_grows_too_old_and_other_code_is_a_reason_of_its_own():
    policy = RetrainPolicy(when="evidence", max_age=timedelta(days=30))
    assert not decide(policy, evidence=STABLE, history=[entry(29, trained=True)])[0]
    should_retrain, (reason,) = decide(policy, evidence=STABLE, history=[entry(30, trained=True)])
    assert should_retrain
    assert (reason.rule, reason.verdict, reason.setting) == ("max_age", "RETRAIN", "retraining.max_age")
    assert reason.observed == reason.required == timedelta(days=30).total_seconds()
    should_retrain, (reason,) = decide(policy, evidence=STABLE, history=[entry(1, trained=True, recipe="r0")])
    assert should_retrain
    assert (reason.rule, reason.facts) == ("new_recipe", {"last_at": "2026-03-09T12:00:00+00:00"})


def test_cooldown_and_budget_hold_back_all_but_a_person():
    cooldown = RetrainPolicy(cooldown=timedelta(days=2))
    should_retrain, (reason,) = decide(cooldown, history=[entry(1, trained=True)])
    assert not should_retrain
    assert (reason.rule, reason.verdict, reason.setting) == ("cooldown", "WAIT", "retraining.cooldown")
    assert (reason.observed, reason.required) == (86400, 2 * 86400), "in seconds"
    assert reason.facts == {"until": "2026-03-11T12:00:00+00:00", "may_force": True}
    assert decide(cooldown, history=[entry(1, trained=True)], force=True)[0]
    assert decide(cooldown, history=[entry(2, trained=True)])[0]
    weekly = RetrainPolicy(max_per_week=2)
    twice = [entry(6, trained=True), entry(3, trained=True), entry(1, trained=False)]
    should_retrain, (reason,) = decide(weekly, history=twice)
    assert not should_retrain
    assert (reason.rule, reason.verdict, reason.setting) == ("max_per_week", "WAIT", "retraining.max_per_week")
    assert (reason.observed, reason.required) == (2, 2)
    assert decide(weekly, history=[entry(7, trained=True), *twice[1:]])[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"when": "evidence", "min_alerts": 3, "of": 2}, "alerts 3 of 2 runs can never be"),
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


def test_an_alert_of_the_monitoring_is_evidence_and_is_braked_as_any_other():
    policy = RetrainPolicy(when="evidence", cooldown=timedelta(days=1))
    assert decide(policy, evidence=STABLE, alerts=(ALERT,), shifts=(X_MOVED,)) == (True, (ALERT, X_MOVED))
    should_retrain, reasons = decide(alerts=(ALERT,))
    assert (should_retrain, reasons[0].rule, reasons[1:]) == (True, "new_data", (ALERT,))
    should_retrain, reasons = decide(policy, alerts=(ALERT,), history=[entry(0.5, trained=True)])
    assert (should_retrain, reasons[0].rule, reasons[1:]) == (False, "cooldown", (ALERT,))


def test_an_alert_that_nothing_new_can_answer_stands_in_the_no_with_what_to_do():
    seen = {"alerts": (ALERT, X_MOVED), "shifts": (X_MOVED, Z_MOVED)}
    should_retrain, reasons = decide(RetrainPolicy(when="evidence"), concluded=EARLIER, **seen)
    assert not should_retrain
    assert (reasons[0].rule, reasons[0].facts["has_alerts"]) == ("nothing_new", True)
    assert reasons[1:] == (ALERT, X_MOVED, Z_MOVED), "each once"
    should_retrain, reasons = decide(force=True, **seen)
    assert (should_retrain, reasons[0].rule, reasons[1:]) == (True, "forced", (ALERT, X_MOVED))


OLD = {
    **entry(1, trained=False).to_dict(),
    "schema_version": 1,
    "reasons": ["The evidence does not ask for it (drift DRIFTED), retraining.min_alerts 2 of 2.", "x moved"],
    "evidence": {
        "drift": "DRIFTED",
        "drift_report": "d.html",
        "drift_rows": "sha256:1",
        "validation": "PROCEED",
        "validation_report": "v.html",
    },
}


def test_a_decision_of_version_1_counts_as_evidence_and_keeps_its_words_and_its_digest():
    old = RetrainDecision.from_dict(OLD)
    assert old.evidence == (
        CheckEvidence(kind="drift", state="DRIFTED", report_uri="d.html", rows_id="sha256:1"),
        CheckEvidence(kind="validation", state="PROCEED", report_uri="v.html"),
    )
    assert str(old) == f"churn: not retrained. {OLD['reasons'][0]} x moved"
    assert old.report_uri == "d.html"
    assert old.content_digest == digest_of(OLD)
    assert RetrainDecision.from_dict(old.to_dict()) == old
    assert old.to_dict() == OLD, "what it was read from"
    changed = replace(old, trigger="scheduled")
    assert changed.to_dict()["schema_version"] == 2, "another decision, written as it is now"
    assert RetrainDecision.from_dict(changed.to_dict()) == changed
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=2)
    assert decide(policy, evidence=DRIFTED, history=[old])[0]
    assert not decide(policy, evidence=(found("DRIFTED", rows_id="sha256:1"),), history=[old])[0], "the same rows"


@pytest.mark.parametrize("damage", [{"reasons": "x"}, {"reasons": [3]}, {"evidence": {"drift": 3}}, {"evidence": 3}])
def test_a_decision_of_version_1_that_is_damaged_is_refused(damage: dict[str, Any]):
    with pytest.raises(IntegrityError, match="RetrainDecision: the document is damaged"):
        RetrainDecision.from_dict({**OLD, **damage})
