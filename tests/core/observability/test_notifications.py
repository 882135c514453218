from __future__ import annotations

import dataclasses

from airflow_mlops.core.observability.notifications import Notification, tell_alarm, tell_blessing, tell_journal
from tests.core.value_cases import ALARM, BLESSING, PROMOTION


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


def test_an_alarm_and_a_promotion_have_the_reasons_that_they_were_decided_on():
    assert tell_alarm(ALARM).reasons == ALARM.reasons
    promoted = dataclasses.replace(PROMOTION, reasons=BLESSING.reasons)
    message = tell_journal(promoted)
    assert message.reasons == BLESSING.reasons
    assert "Why:\n  - Better.\n  - Failed: r2 -0.2" in message.text


def test_a_rollback_has_a_persons_reason_alone():
    back = dataclasses.replace(PROMOTION, action="rollback", reason="strange", to_version=1)
    assert tell_journal(back).reasons == ()
    assert "  - ada: strange\n" in tell_journal(back).text
