"""What people read, in full: a subject, why, and what to do next."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.core.observability.notifications import (
    Notification,
    tell_alert,
    tell_answer,
    tell_blessing,
    tell_journal,
    tell_request,
    tell_rollout,
)
from airflow_mlops.core.promotion.approval import Approval, ApprovalRequest
from airflow_mlops.core.rollout.online_validation import RolloutVerdict
from tests.core.cases import recorded
from tests.core.value_cases import ALERT, BLESSING, NOW, PROMOTION, ROLLOUT

URL = "http://airflow.test/x"
WORSE = recorded("It is worse.")
APPROVAL = Approval(
    model_name="co2",
    model_version=3,
    blessing_digest="sha256:b",
    champion_version=2,
    is_approved=False,
    by="ada",
    note="not on a Friday",
    run_id="r",
    at=NOW,
    key="k",
)


def test_an_alert_says_who_serves_and_why_it_is_one():
    told = tell_alert(ALERT, url=URL)
    assert told is not None
    assert (told.event, told.subject, told.url) == ("alert", "co2: alert (drift)", URL)
    assert told.text.splitlines() == [
        "The monitoring of co2 gives an alert: drift. Version 3 serves on.",
        "Why:",
        "  - It moved.",
        "What to do next: Nothing, if the DAG co2 is scheduled on it: it decides whether to train. "
        "If the data is broken, fix it.",
        URL,
    ]


def test_of_no_alert_no_blessing_to_end_and_no_refusal_nobody_is_told():
    assert tell_alert(replace(ALERT, kinds=())) is None
    assert tell_blessing(replace(BLESSING, verdict=BlessingVerdict.BLESSED), url=URL) is None
    assert tell_answer(replace(APPROVAL, is_approved=True)) is None


def test_a_challenger_that_ends_at_the_gate_leaves_the_champion():
    told = tell_blessing(replace(BLESSING, reasons=WORSE), url=URL)
    assert told is not None
    assert (told.event, told.subject) == ("rejected", "co2: challenger REJECTED")
    assert told.text.startswith(
        "The gate says REJECTED of the challenger of co2. Version 2 stays champion.\nWhy:\n  - It is worse.\n"
    )
    assert told.text.endswith(URL)


@pytest.mark.parametrize(("until", "words"), [("", "Actions."), ("within 3 days", "Actions, within 3 days.")])
def test_a_promotion_that_waits_says_where_to_answer_and_until_when(until: str, words: str):
    told = tell_request(ApprovalRequest(subject="Promote?", body=""), BLESSING, until=until, url=URL)
    assert (told.event, told.subject) == ("waiting_for_approval", "Promote?")
    assert f"Answer it in Airflow, under Required {words}\n" in told.text
    assert "Version 2 serves in the meantime." in told.text


def test_a_version_that_a_person_declined_stays_registered():
    told = tell_answer(APPROVAL)
    assert told is not None
    assert (told.event, told.subject) == ("rejected", "co2: version 3 declined")
    assert "Version 3 of co2 is not promoted. Version 2 stays champion." in told.text
    assert "  - Declined by ada: not on a Friday" in told.text


def test_a_promotion_says_how_to_take_it_back_and_the_first_one_that_there_was_none_before():
    told = tell_journal(replace(PROMOTION, from_version=None))
    assert (told.event, told.subject) == ("promoted", "co2: version 3 is champion")
    assert told.text.startswith("Version 3 of co2 is champion. Before: no version.\nWhy:\n  - Better.\n")
    assert "trigger the DAG co2_rollback." in told.text


def test_a_rollback_names_both_versions_and_who_did_it():
    told = tell_journal(replace(PROMOTION, action="rollback", from_version=3, to_version=2, reason="complaints"))
    assert (told.event, told.subject) == ("rolled_back", "co2: rolled back to version 2")
    assert "Version 2 of co2 is champion again. Version 3 was rolled back from, and does not return." in told.text
    assert "  - ada: complaints" in told.text


@pytest.mark.parametrize(
    ("verdict", "event", "next_step"),
    [
        (RolloutVerdict.UNHEALTHY, "rolled_back", "fix what it says before the next training."),
        (RolloutVerdict.INCONCLUSIVE, "rejected", "Give it a longer rollout.window, or a larger rollout.share."),
    ],
)
def test_a_version_that_was_tried_is_told_with_what_follows_from_the_verdict(
    verdict: RolloutVerdict, event: str, next_step: str
):
    told = tell_rollout(replace(ROLLOUT, verdict=verdict), url=URL)
    assert (told.event, told.subject) == (event, f"co2: version 3 taken back ({verdict})")
    assert f"was tried as canary and taken back: {verdict}. Version 2 serves alone again." in told.text
    assert next_step in told.text


def test_a_long_list_of_reasons_is_cut():
    told = tell_alert(replace(ALERT, reasons=recorded(*(f"x{place} moved." for place in range(20)))))
    assert told is not None
    assert [line for line in told.text.splitlines() if line.startswith("  - x")] == [
        f"  - x{n} moved." for n in range(8)
    ]


def _told(message: Notification | None) -> dict:
    """Return what a notifier's templates have under ``mlops``."""
    assert message is not None
    return dataclasses.asdict(message)


def test_a_rejection_is_told_in_words_and_in_numbers():
    told = _told(tell_blessing(BLESSING, url="http://x"))
    assert "  - Failed: r2 -0.2, gate.metrics.r2.value_threshold 0.05.\n" in told["text"]
    first = told["reasons"][0]
    assert (first["rule"], first["subject"], first["verdict"]) == ("value_threshold", "r2", "REJECTED")
    assert (first["observed"], first["required"], first["n"]) == (-0.2, 0.05, 60)


def test_an_alert_and_a_promotion_have_the_reasons_that_they_were_decided_on():
    assert tell_alert(ALERT).reasons == ALERT.reasons
    promoted = replace(PROMOTION, reasons=BLESSING.reasons)
    message = tell_journal(promoted)
    assert message.reasons == BLESSING.reasons
    assert "Why:\n  - Better.\n  - Failed: r2 -0.2" in message.text


def test_a_rollback_has_a_persons_reason_alone():
    back = replace(PROMOTION, action="rollback", reason="strange", to_version=1)
    assert tell_journal(back).reasons == ()
    assert "  - ada: strange\n" in tell_journal(back).text
