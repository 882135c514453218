from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.retraining.alarm import MonitoringDecision, decide_alarm, open_alarms, reasons_of, tell_missing
from airflow_mlops.specs import RetrainPolicy
from tests.core.retraining.test_decision import entry

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DRIFTED, STABLE, WORSE = {"drift": "DRIFTED"}, {"drift": "STABLE"}, {"performance": "DEGRADED"}


def seen(days_ago: float, evidence: dict[str, Any], *kinds: str, version: int = 3) -> MonitoringDecision:
    return MonitoringDecision(
        model_name="churn",
        champion_version=version,
        kinds=kinds,
        reasons=("x moved",),
        evidence=evidence,
        run_id=f"{days_ago} days ago",
        at=NOW - timedelta(days=days_ago),
    )


def decide(policy: RetrainPolicy | None = None, **changes: Any) -> tuple[tuple[str, ...], str]:
    case: dict[str, Any] = {
        "kinds": ("drift", "performance"),
        "champion_version": 3,
        "evidence": DRIFTED,
        "answer_within": timedelta(hours=6),
        "now": NOW,
    }
    kinds, reasons = decide_alarm(policy or RetrainPolicy(), **{**case, **changes})
    return kinds, reasons[0]


def test_an_alarm_is_of_every_kind_of_evidence_that_is_listened_to():
    assert decide() == (("drift",), "DRIFTED in the last look, retraining.alarms 1 of 1.")
    assert decide(evidence=DRIFTED | WORSE)[0] == ("drift", "performance")
    assert decide(evidence=DRIFTED | WORSE, kinds=("performance",))[0] == ("performance",)
    assert decide(kinds=())[0] == ()


@pytest.mark.parametrize("state", ["STABLE", "INCOMPLETE", "TOO_FEW_ROWS", "NO_REFERENCE"])
def test_what_can_not_be_told_is_no_alarm_and_is_said(state: str):
    kinds, reason = decide(evidence={"drift": state})
    assert kinds == ()
    assert reason == f"No alarm (drift {state}), retraining.alarms 1 of 1."


def test_no_check_at_all_is_no_alarm():
    assert decide(evidence={}) == ((), "No alarm (no check was made), retraining.alarms 1 of 1.")


def test_without_a_champion_there_is_nothing_to_watch():
    assert decide(champion_version=None) == ((), "There is no champion, so there is nothing to watch.")


def test_n_of_m_counts_looks_at_this_champion_since_the_last_training():
    policy = RetrainPolicy(when="evidence", alarms=2, of=3)
    assert decide(policy)[0] == ()
    assert decide(policy, history=[seen(2, DRIFTED), seen(1, STABLE)])[0] == ("drift",)
    assert decide(policy, history=[seen(3, DRIFTED), seen(2, STABLE), seen(1, STABLE)])[0] == (), "too long ago"
    assert decide(policy, history=[seen(1, DRIFTED, version=2)])[0] == (), "another champion"
    assert decide(policy, history=[seen(2, DRIFTED)], decisions=[entry(1, trained=True)])[0] == (), "trained since"
    assert decide(policy, history=[seen(1, DRIFTED)], decisions=[entry(2, trained=True)])[0] == ("drift",)
    assert decide(policy, evidence=WORSE, history=[seen(1, DRIFTED)])[0] == (), "two kinds, one of each"


def test_nothing_is_started_that_the_policy_would_not_train_in():
    trained = [entry(1, trained=True)]
    kinds, reason = decide(RetrainPolicy(cooldown=timedelta(days=2)), decisions=trained)
    assert (kinds, reason) == ((), "Cooldown until 2026-03-11 12:00 (retraining.cooldown P2D).")
    kinds, reason = decide(RetrainPolicy(max_per_week=1), decisions=trained)
    assert kinds == ()
    assert "max_per_week is 1" in reason


def test_an_alarm_that_waits_for_its_run_is_not_raised_twice():
    kinds, reason = decide(history=[seen(0.1, DRIFTED, "drift")])
    assert kinds == ()
    assert reason.startswith("The alarm of 2026-03-10 09:36 is not answered yet")


def test_an_alarm_whose_run_was_missed_is_raised_again_though_nothing_is_seen_any_more():
    missed = seen(1, DRIFTED, "drift")
    kinds, reason = decide(evidence=STABLE, history=[missed])
    assert (kinds, reason) == (
        ("drift",),
        "The alarm of 2026-03-09 12:00 was not answered by a run, so it is raised again.",
    )
    answer = entry(0.5, trained=False)
    answered = type(answer).from_dict({**answer.to_dict(), "alarms": [missed.content_digest]})
    assert decide(evidence=STABLE, history=[missed], decisions=[answered])[0] == ()
    assert decide(evidence=STABLE, history=[missed], champion_version=4)[0] == (), "it was of another champion"
    assert decide(evidence=STABLE, history=[missed], kinds=("performance",))[0] == (), "nobody listens any more"


def test_open_alarms_are_those_of_this_champion_without_an_answer():
    old, other, new = seen(3, DRIFTED, "drift"), seen(2, DRIFTED, "drift", version=2), seen(1, DRIFTED, "drift")
    assert open_alarms(3, [old, other, seen(2, STABLE), new], []) == (old, new)
    answer = entry(2, trained=False)
    answered = type(answer).from_dict({**answer.to_dict(), "alarms": [old.content_digest]})
    assert open_alarms(3, [old, other, new], [answered]) == (new,)


def test_several_looks_are_counted():
    policy = RetrainPolicy(when="evidence", alarms=2, of=3)
    reason = decide(policy, history=[seen(2, DRIFTED), seen(1, STABLE)])[1]
    assert reason == "DRIFTED in 2 of the last 3 looks, retraining.alarms 2 of 3."


def test_a_check_that_is_wanted_and_gave_no_report_is_named():
    assert tell_missing(("drift", "performance"), ("drift", "performance")) == ()
    assert tell_missing((), ("drift",)) == ()
    (said,) = tell_missing(("drift", "performance"), ("drift",))
    assert said.startswith("The performance check gave no report: it failed or was skipped, see its task.")


def test_an_alarm_is_repeated_with_its_moment_its_kinds_and_each_of_its_reasons():
    alarm = replace(seen(1, DRIFTED, "drift"), reasons=("DRIFTED in the last look.", "x moved."))
    assert reasons_of(alarm) == (
        "Alarm of the monitoring at 2026-03-09 12:00 (drift): DRIFTED in the last look.",
        "x moved.",
    )


def test_the_page_of_a_decision_is_that_of_its_alarm():
    evidence = {"drift_report": "d.html", "performance_report": "p.html"}
    assert [seen(1, evidence, *kinds).report_uri for kinds in (("drift",), ("performance",), ())] == [
        "d.html",
        "p.html",
        "p.html",
    ]
    assert seen(1, {}).report_uri == ""
