from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.retraining.alert import decide_alert, missing_reports, reasons_of
from airflow_mlops.core.retraining.decision import take_reason
from airflow_mlops.core.wording import sentence_of, sentences_of
from airflow_mlops.specs import RetrainPolicy
from tests.core.retraining.test_alert import seen
from tests.core.retraining.test_decision import (
    ALERT,
    DRIFTED,
    EARLIER,
    NOW,
    STABLE,
    WORSE,
    X_MOVED,
    decide,
    entry,
)

EVIDENCE = RetrainPolicy(when="evidence")
TWO_OF_THREE = RetrainPolicy(when="evidence", min_alerts=2, of=3)
TRAINED = [entry(1, trained=True)]
BAD = replace(EARLIER, unhealthy_version=3, why_unhealthy="is marked as unhealthy (entry 2: strange)")


@pytest.mark.parametrize(
    ("policy", "case", "sentence"),
    [
        (None, {"force": True}, "Forced by the run's parameters."),
        (
            None,
            {"concluded": EARLIER},
            "Nothing new: data, code and parameters are those of run r1 (PROMOTED). Set force to train all the same.",
        ),
        (
            None,
            {"concluded": BAD, "alerts": [ALERT]},
            "Nothing new: data, code and parameters are those of run r1 (PROMOTED), whose version 3 is marked as "
            "unhealthy (entry 2: strange). So no training can answer the alert: it needs new rows. Deliver them, or "
            "set force to train all the same; if the champion does harm, roll back.",
        ),
        (None, {"champion_version": None}, "Cold start: there is no champion yet."),
        (None, {}, "Data, code or parameters changed since v3."),
        (
            EVIDENCE,
            {"history": [entry(1, trained=True, recipe="r0")]},
            "Code or parameters changed since the training of 2026-03-09 12:00.",
        ),
        (
            RetrainPolicy(cooldown=timedelta(days=2)),
            {"history": TRAINED},
            "Cooldown until 2026-03-11 12:00 (retraining.cooldown P2D). Set force to train all the same.",
        ),
        (
            RetrainPolicy(max_per_week=1),
            {"history": TRAINED},
            "1 training in the last seven days, retraining.max_per_week is 1. Set force to train all the same.",
        ),
        (
            RetrainPolicy(when="evidence", max_age=timedelta(days=30)),
            {"history": [entry(30, trained=True)]},
            "The last training was on 2026-02-08 12:00, retraining.max_age is P30D.",
        ),
        (EVIDENCE, {"evidence": DRIFTED}, "DRIFTED in the last run, retraining.min_alerts 1 of 1."),
        (
            TWO_OF_THREE,
            {"evidence": DRIFTED, "history": [entry(2, DRIFTED, trained=False), entry(1, STABLE, trained=False)]},
            "DRIFTED in 2 of the last 3 runs, retraining.min_alerts 2 of 3.",
        ),
        (
            EVIDENCE,
            {"evidence": STABLE},
            "The evidence does not ask for it (drift STABLE), retraining.min_alerts 1 of 1.",
        ),
        (EVIDENCE, {}, "The evidence does not ask for it (no check was made), retraining.min_alerts 1 of 1."),
    ],
)
def test_a_decision_to_train_or_not_says_why(policy: RetrainPolicy | None, case: dict[str, Any], sentence: str):
    assert sentence_of(decide(policy, **case)[1][0]) == sentence


def _alert(policy: RetrainPolicy | None = None, **changes: Any) -> str:
    case = {"kinds": ("drift", "performance"), "champion_version": 3, "evidence": DRIFTED, "now": NOW}
    case |= {"answer_within": timedelta(hours=6), **changes}
    return sentence_of(decide_alert(policy or RetrainPolicy(), **case)[1][0])


@pytest.mark.parametrize(
    ("policy", "case", "sentence"),
    [
        (None, {"champion_version": None}, "There is no champion, so there is nothing to watch."),
        (None, {}, "DRIFTED in the last check, retraining.min_alerts 1 of 1."),
        (
            TWO_OF_THREE,
            {"history": [seen(2, DRIFTED), seen(1, STABLE)]},
            "DRIFTED in 2 of the last 3 checks, retraining.min_alerts 2 of 3.",
        ),
        (
            None,
            {"evidence": STABLE + WORSE, "kinds": ("drift",)},
            "No alert (drift STABLE, performance DEGRADED), retraining.min_alerts 1 of 1.",
        ),
        (None, {"evidence": ()}, "No alert (no check was made), retraining.min_alerts 1 of 1."),
        (
            RetrainPolicy(cooldown=timedelta(days=2)),
            {"decisions": TRAINED},
            "Cooldown until 2026-03-11 12:00 (retraining.cooldown P2D).",
        ),
        (
            RetrainPolicy(max_per_week=1),
            {"decisions": TRAINED},
            "1 training in the last seven days, retraining.max_per_week is 1.",
        ),
        (
            None,
            {"history": [seen(0.1, DRIFTED, "drift")]},
            "The alert of 2026-03-10 09:36 is not answered yet; it has until monitoring.answer_within PT6H.",
        ),
        (
            None,
            {"history": [seen(1, DRIFTED, "drift")], "evidence": STABLE},
            "The alert of 2026-03-09 12:00 was not answered by a run, so it is raised again.",
        ),
    ],
)
def test_an_alert_or_none_says_why(policy: RetrainPolicy | None, case: dict[str, Any], sentence: str):
    assert _alert(policy, **case) == sentence


def test_an_alert_is_repeated_with_its_moment_and_its_kinds():
    alert = replace(seen(1, DRIFTED, "drift"), reasons=decide_alert(
        RetrainPolicy(),
        kinds=("drift",),
        champion_version=3,
        evidence=DRIFTED,
        shifts=(X_MOVED,),
        answer_within=timedelta(hours=6),
        now=NOW,
    )[1])  # fmt: skip
    assert sentences_of(reasons_of(alert)) == (
        "Alert of the monitoring at 2026-03-09 12:00 (drift): DRIFTED in the last check, retraining.min_alerts 1 of 1.",
        "x moved",
    )


@pytest.mark.parametrize(
    ("source", "before"),
    [
        ("new_data", "New data: "),
        ("drift_of_new_data", "Drift of new data: "),
        ("drift_in_production", "Drift in production: "),
        ("performance", "Performance: "),
    ],
)
def test_what_another_stage_found_is_said_to_be_from_there(source: str, before: str):
    assert sentence_of(replace(X_MOVED, source=source)) == f"{before}x moved"


def test_remarks_say_what_is_not_known():
    (missing,) = missing_reports(("drift", "performance"), ("drift",))
    assert sentence_of(missing) == (
        "The performance check gave no report: it failed or was skipped, see its task. Nothing is known of what "
        "it asks."
    )
    stale: Reason = take_reason("other_version", subject="drift", observed=1)
    assert sentence_of(stale) == "The drift check looked at v1, which is champion no longer."
