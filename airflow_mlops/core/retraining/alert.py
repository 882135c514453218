"""Whether what is seen in production is a reason to start the training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.retraining.decision import (
    CheckEvidence,
    RetrainDecision,
    as_evidence,
    count_alerts,
    evidence_found,
    evidence_missing,
    last_training,
    limit_of,
    report_of,
    take_reason,
)
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.retrain import RetrainPolicy

__all__ = ["MonitoringDecision", "decide_alert", "missing_reports", "open_alerts", "reasons_of"]

_YES, _NO = "ALERT", "NO_ALERT"


@dataclass(frozen=True, kw_only=True)
class MonitoringDecision(Value):
    """Whether a check of production starts the training, always with the reasons.

    :param champion_version: that production was asked of; ``None``: there is no champion.
    :param kinds: the evidence that gives the alert, such as ``("drift",)``; empty: there is none.
    :param evidence: what each check found, which rows it looked at, and where its report is.
    """

    schema_version = 2

    model_name: str
    champion_version: int | None
    kinds: tuple[str, ...]
    reasons: tuple[Reason, ...]
    evidence: tuple[CheckEvidence, ...] = ()
    run_id: str
    trigger: str = ""
    at: datetime

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        reasons = as_reasons(fields.get("reasons"), stage="retraining")
        return {**fields, "reasons": reasons, "evidence": as_evidence(fields.get("evidence", []))}

    @property
    def is_alert(self) -> bool:
        """Whether it starts the training."""
        return bool(self.kinds)

    @property
    def report_uri(self) -> str:
        """The page of the check that it was made on, of several that of the alert; empty: there is none."""
        return report_of(self.evidence, kinds=self.kinds)

    def __str__(self) -> str:
        what = f"alert ({', '.join(self.kinds)})" if self.kinds else "no alert"
        return f"{self.model_name}: {what}. " + " ".join(sentences_of(self.reasons))


def reasons_of(alert: MonitoringDecision) -> tuple[Reason, ...]:
    """Return the reasons of an alert as the decision that answers it repeats them."""
    first, *rest = alert.reasons
    facts = {**first.facts, "alert_at": alert.at.isoformat(), "alert_kinds": list(alert.kinds)}
    return replace(first, source="alert", facts=facts), *rest


def missing_reports(wanted: Collection[str], found: Collection[str]) -> tuple[Reason, ...]:
    """Return of which checks there is no report.

    :param wanted: the checks that there are to be, such as ``("drift", "performance")``.
    :param found: those that gave a report.
    """
    return tuple(take_reason("no_report", subject=kind) for kind in sorted(set(wanted) - set(found)))


def open_alerts(
    champion_version: int | None, history: Sequence[MonitoringDecision], decisions: Sequence[RetrainDecision]
) -> tuple[MonitoringDecision, ...]:
    """Return the alerts of the present champion that no decision has answered, oldest first."""
    answered = {digest for decision in decisions for digest in decision.answered_alerts}
    alerts = (entry for entry in history if entry.is_alert and entry.champion_version == champion_version)
    return tuple(entry for entry in alerts if entry.content_digest not in answered)


def decide_alert(
    policy: RetrainPolicy,
    *,
    kinds: Collection[str],
    champion_version: int | None,
    evidence: Sequence[CheckEvidence],
    shifts: Sequence[Reason] = (),
    history: Sequence[MonitoringDecision] = (),
    decisions: Sequence[RetrainDecision] = (),
    answer_within: timedelta,
    now: datetime,
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    """Decide whether to start the training.

    The same policy decides in the run that is started, so nothing is started that it would not train in. A training
    begins the count of alerts anew, another champion too.

    :param kinds: the evidence that may start a training.
    :param evidence: what each check of this run found, see
        :data:`~airflow_mlops.core.retraining.decision.ALERT_STATES`.
    :param shifts: the reasons of what the checks found.
    :param history: earlier decisions of the monitoring, oldest first.
    :param decisions: earlier decisions of the training, oldest first.
    :param answer_within: how long an alert may be unanswered before it is raised again: its run was missed.
    :param now: with a zone, as those of the history.
    :returns: the kinds of evidence that give an alert, none of them for no, and the reasons.
    """
    if champion_version is None:
        return (), (take_reason("champion", _NO),)
    last = last_training(decisions)
    limit = limit_of(policy, decisions, last, now)
    if limit:
        return (), (replace(limit, verdict=_NO), *shifts)
    waiting = open_alerts(champion_version, history, decisions)
    if waiting and now - waiting[-1].at < answer_within:
        return (), (_unanswered(_NO, waiting[-1], answer_within, now), *shifts)
    mine = [entry for entry in history if entry.champion_version == champion_version]
    since = [entry for entry in mine if last is None or entry.at > last.at]
    counts = count_alerts([*(entry.evidence for entry in since), evidence], policy.of)
    found = [kind for kind in sorted(kinds) if counts[kind][0] >= policy.min_alerts]
    reasons = [evidence_found(_YES, kind, *counts[kind], policy, noun="check") for kind in found]
    if not found and waiting:
        found = sorted({kind for alert in waiting for kind in alert.kinds} & set(kinds))
        reasons = [_unanswered(_YES, waiting[-1], answer_within, now)]
    if not found:
        reasons = [evidence_missing(_NO, evidence, counts, policy)]
    return tuple(found), (*reasons, *shifts)


def _unanswered(verdict: str, alert: MonitoringDecision, answer_within: timedelta, now: datetime) -> Reason:
    """Return how long an alert has not been answered, in seconds: it still has time, or it is raised again."""
    return take_reason(
        "answer_within",
        verdict,
        setting="monitoring.answer_within",
        observed=(now - alert.at).total_seconds(),
        required=answer_within.total_seconds(),
        facts={"raised_at": alert.at.isoformat()},
    )
