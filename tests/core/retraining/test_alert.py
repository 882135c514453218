from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.retraining.alert import (
    MonitoringDecision,
    decide_alert,
    missing_reports,
    open_alerts,
    reasons_of,
)
from airflow_mlops.core.retraining.decision import CheckEvidence, RetrainDecision
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.specs import RetrainPolicy
from tests.core.cases import recorded
from tests.core.retraining.test_decision import DRIFTED, STABLE, WORSE, entry, found

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def seen(days_ago: float, evidence: tuple[CheckEvidence, ...], *kinds: str, version: int = 3) -> MonitoringDecision:
    return MonitoringDecision(
        model_name="churn",
        champion_version=version,
        kinds=kinds,
        reasons=recorded("x moved", stage="retraining"),
        evidence=evidence,
        run_id=f"{days_ago} days ago",
        at=NOW - timedelta(days=days_ago),
    )


def decide(policy: RetrainPolicy | None = None, **changes: Any) -> tuple[tuple[str, ...], Reason]:
    case: dict[str, Any] = {
        "kinds": ("drift", "performance"),
        "champion_version": 3,
        "evidence": DRIFTED,
        "answer_within": timedelta(hours=6),
        "now": NOW,
    }
    kinds, reasons = decide_alert(policy or RetrainPolicy(), **{**case, **changes})
    assert reasons[0].stage == "retraining"
    assert reasons[0].verdict == ("ALERT" if kinds else "NO_ALERT")
    return kinds, reasons[0]


def no_alerts(reason: Reason) -> tuple[Any, ...]:
    assert (reason.rule, reason.setting) == ("no_alerts", "retraining.min_alerts")
    return reason.facts["states"], reason.observed, reason.required, reason.facts["of"], reason.n


def test_an_alert_is_of_every_kind_of_evidence_that_is_listened_to():
    kinds, reason = decide()
    assert kinds == ("drift",)
    assert (reason.rule, reason.subject, reason.setting) == ("alerts", "drift", "retraining.min_alerts")
    assert (reason.observed, reason.required, reason.n) == (1, 1, 1)
    assert reason.facts == {"state": "DRIFTED", "of": 1, "noun": "check"}
    assert decide(evidence=DRIFTED + WORSE)[0] == ("drift", "performance")
    assert decide(evidence=DRIFTED + WORSE, kinds=("performance",))[0] == ("performance",)
    assert decide(kinds=())[0] == ()


@pytest.mark.parametrize("state", ["STABLE", "INCOMPLETE", "TOO_FEW_ROWS", "NO_REFERENCE"])
def test_what_can_not_be_told_is_no_alert_and_is_said(state: str):
    kinds, reason = decide(evidence=(found(state),))
    assert kinds == ()
    assert no_alerts(reason) == ({"drift": state}, 0, 1, 1, 1)


def test_no_check_at_all_is_no_alert():
    kinds, reason = decide(evidence=())
    assert kinds == ()
    assert no_alerts(reason) == ({}, 0, 1, 1, 1)


def test_without_a_champion_there_is_nothing_to_watch():
    kinds, reason = decide(champion_version=None)
    assert (kinds, reason.rule) == ((), "champion")


def test_n_of_m_counts_looks_at_this_champion_since_the_last_training():
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=3)
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
    assert (kinds, reason.rule, reason.observed, reason.required) == ((), "cooldown", 86400, 2 * 86400)
    assert reason.facts == {"until": "2026-03-11T12:00:00+00:00"}
    kinds, reason = decide(RetrainPolicy(max_per_week=1), decisions=trained)
    assert kinds == ()
    assert (reason.rule, reason.observed, reason.required) == ("max_per_week", 1, 1)


def test_an_alert_that_waits_for_its_run_is_not_raised_twice():
    kinds, reason = decide(history=[seen(0.1, DRIFTED, "drift")])
    assert kinds == ()
    assert (reason.rule, reason.setting) == ("answer_within", "monitoring.answer_within")
    assert (reason.observed, reason.required) == (0.1 * 86400, 6 * 3600), "in seconds"
    assert reason.facts == {"raised_at": "2026-03-10T09:36:00+00:00"}


def test_an_alert_whose_run_was_missed_is_raised_again_though_nothing_is_seen_any_more():
    missed = seen(1, DRIFTED, "drift")
    kinds, reason = decide(evidence=STABLE, history=[missed])
    assert (kinds, reason.rule) == (("drift",), "answer_within")
    assert (reason.observed, reason.required) == (86400, 6 * 3600)
    assert reason.facts == {"raised_at": "2026-03-09T12:00:00+00:00"}
    answer = entry(0.5, trained=False)
    answered = type(answer).from_dict({**answer.to_dict(), "answered_alerts": [missed.content_digest]})
    assert decide(evidence=STABLE, history=[missed], decisions=[answered])[0] == ()
    assert decide(evidence=STABLE, history=[missed], champion_version=4)[0] == (), "it was of another champion"
    assert decide(evidence=STABLE, history=[missed], kinds=("performance",))[0] == (), "nobody listens any more"


def test_open_alerts_are_those_of_this_champion_without_an_answer():
    old, other, new = seen(3, DRIFTED, "drift"), seen(2, DRIFTED, "drift", version=2), seen(1, DRIFTED, "drift")
    assert open_alerts(3, [old, other, seen(2, STABLE), new], []) == (old, new)
    answer = entry(2, trained=False)
    answered = type(answer).from_dict({**answer.to_dict(), "answered_alerts": [old.content_digest]})
    assert open_alerts(3, [old, other, new], [answered]) == (new,)


def test_several_looks_are_counted():
    policy = RetrainPolicy(when="evidence", min_alerts=2, of=3)
    reason = decide(policy, history=[seen(2, DRIFTED), seen(1, STABLE)])[1]
    assert (reason.observed, reason.required, reason.n, reason.facts["of"]) == (2, 2, 3, 3)


def test_a_check_that_is_wanted_and_gave_no_report_is_named():
    assert missing_reports(("drift", "performance"), ("drift", "performance")) == ()
    assert missing_reports((), ("drift",)) == ()
    (reason,) = missing_reports(("drift", "performance"), ("drift",))
    assert (reason.rule, reason.subject, reason.verdict) == ("no_report", "performance", ""), "it decides nothing"


def test_an_alert_is_repeated_with_its_moment_its_kinds_and_each_of_its_reasons():
    first, second = recorded("DRIFTED in the last check.", "x moved.", stage="retraining")
    alert = replace(seen(1, DRIFTED, "drift"), reasons=(first, second))
    repeated, *rest = reasons_of(alert)
    assert repeated == replace(
        first, source="alert", facts={"alert_at": "2026-03-09T12:00:00+00:00", "alert_kinds": ["drift"]}
    )
    assert rest == [second]


def test_the_page_of_a_decision_is_that_of_its_alert():
    evidence = (replace(DRIFTED[0], report_uri="d.html"), replace(WORSE[0], report_uri="p.html"))
    assert [seen(1, evidence, *kinds).report_uri for kinds in (("drift",), ("performance",), ())] == [
        "d.html",
        "p.html",
        "p.html",
    ]
    assert seen(1, ()).report_uri == ""


OLD_ALERT = {
    **seen(1, (), "drift").to_dict(),
    "schema_version": 1,
    "reasons": ["DRIFTED in the last check, retraining.min_alerts 1 of 1.", "x moved"],
    "evidence": {"drift": "DRIFTED", "drift_report": "d.html", "drift_rows": "a--b"},
}
OLD_ANSWER = {
    **entry(0.5, trained=False).to_dict(),
    "schema_version": 1,
    "reasons": ["Nothing new."],
    "evidence": {"drift": "STABLE"},
    "alarms": [digest_of(OLD_ALERT)],
}


def test_an_alert_that_was_answered_before_the_numbers_were_kept_is_still_answered():
    alert, answer = MonitoringDecision.from_dict(OLD_ALERT), RetrainDecision.from_dict(OLD_ANSWER)
    assert (alert.is_alert, alert.report_uri) == (True, "d.html")
    assert alert.evidence == (CheckEvidence(kind="drift", state="DRIFTED", report_uri="d.html", rows_id="a--b"),)
    assert open_alerts(3, [alert], []) == (alert,)
    assert open_alerts(3, [alert], [answer]) == ()
    again = MonitoringDecision.from_dict(alert.to_dict())
    assert open_alerts(3, [again], [answer]) == (), "also after it was passed on"


def test_an_alert_of_version_1_can_be_answered_now():
    alert = MonitoringDecision.from_dict(OLD_ALERT)
    answer = replace(entry(0.5, trained=False), answered_alerts=(alert.content_digest,))
    stored = RetrainDecision.from_dict(answer.to_dict())
    assert open_alerts(3, [MonitoringDecision.from_dict(OLD_ALERT)], [stored]) == ()
    assert str(alert) == f"churn: alert (drift). {OLD_ALERT['reasons'][0]} x moved"
    first, second = reasons_of(alert)
    assert (first.recorded, first.source) == (OLD_ALERT["reasons"][0], "alert")
    assert second.recorded == "x moved"


def test_an_alert_of_version_1_that_is_damaged_is_refused():
    with pytest.raises(IntegrityError, match="MonitoringDecision: the document is damaged"):
        MonitoringDecision.from_dict({**OLD_ALERT, "evidence": {"drift": None}})
