"""What people are told: what happened, why, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.promotion.approval import Approval, ApprovalRequest
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import PromotionRecord, name_version
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutVerdict
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import bounded_lines
from airflow_mlops.specs.notify import NotificationEvent

__all__ = [
    "Notification",
    "tell_alert",
    "tell_answer",
    "tell_blessing",
    "tell_journal",
    "tell_request",
    "tell_rollout",
]

_N_REASONS = 8


@dataclass(frozen=True)
class Notification:
    """One message.

    :param subject: one line.
    :param text: some lines of plain text.
    :param url: where to read more, or to answer.
    :param reasons: what the text says of why, in numbers.
    """

    event: NotificationEvent
    subject: str
    text: str
    url: str = ""
    reasons: tuple[Reason, ...] = ()


def tell_alert(decision: MonitoringDecision, *, url: str = "") -> Notification | None:
    """Tell that production is a reason to train."""
    if not decision.is_alert:
        return None
    name = decision.model_name
    text = _text(
        f"The monitoring of {name} gives an alert: {', '.join(decision.kinds)}. "
        f"{_named(decision.champion_version)} serves on.",
        sentences_of(decision.reasons),
        f"Nothing, if the DAG {name} is scheduled on it: it decides whether to train. If the data is broken, fix it.",
        url,
    )
    return Notification("alert", f"{name}: alert ({', '.join(decision.kinds)})", text, url, decision.reasons)


def tell_blessing(blessing: Blessing, *, url: str) -> Notification | None:
    """Tell that a challenger comes to its end at the gate; of a blessing there is nothing to tell yet."""
    if not blessing.is_over:
        return None
    name, champion = blessing.model_name, _named(blessing.champion_version)
    text = _text(
        f"The gate says {blessing.verdict} of the challenger of {name}. {champion} stays champion.",
        sentences_of(blessing.reasons),
        "Nothing is broken. Read the report. If the rules ask too much, change the gate; if the rows are too few, wait "
        "for more. The same data is not trained on again.",
        url,
    )
    return Notification("rejected", f"{name}: challenger {blessing.verdict}", text, url, blessing.reasons)


def tell_request(request: ApprovalRequest, blessing: Blessing, *, until: str, url: str) -> Notification:
    """Tell that a promotion waits for a person.

    :param until: until when, in words; empty: for ever.
    """
    text = _text(
        f"A promotion of {blessing.model_name} waits for an approval. "
        f"{_named(blessing.champion_version)} serves in the meantime.",
        sentences_of(blessing.reasons),
        f"Answer it in Airflow, under Required Actions{f', {until}' if until else ''}.",
        url,
    )
    return Notification("waiting_for_approval", request.subject, text, url, blessing.reasons)


def tell_answer(approval: Approval, *, url: str = "") -> Notification | None:
    """Tell that a person declined a version; an approval is told by the promotion."""
    if approval.is_approved:
        return None
    name, version = approval.model_name, approval.model_version
    text = _text(
        f"Version {version} of {name} is not promoted. {_named(approval.champion_version)} stays champion.",
        (str(approval),),
        "Nothing is broken. The version stays registered; the same data is not trained on again.",
        url,
    )
    return Notification("rejected", f"{name}: version {version} declined", text, url)


def tell_journal(record: PromotionRecord, *, url: str = "") -> Notification:
    """Tell that another version is champion."""
    name, serving, before = record.model_name, f"version {record.to_version}", _named(record.from_version)
    if record.action == "promote":
        text = _text(
            f"{serving.capitalize()} of {name} is champion. Before: {before.lower()}.",
            record.why,
            f"Nothing, if all is well. If it does harm, roll back: trigger the DAG {name}_rollback.",
            url,
        )
        return Notification("promoted", f"{name}: {serving} is champion", text, url, record.reasons)
    text = _text(
        f"{serving.capitalize()} of {name} is champion again. {before} was rolled back from, and does not return.",
        (f"{record.actor}: {record.reason}",),
        "Find out what was wrong with it before the next version is promoted.",
        url,
    )
    return Notification("rolled_back", f"{name}: rolled back to {serving}", text, url)


def tell_rollout(report: RolloutReport, *, url: str) -> Notification:
    """Tell that a version was tried on live requests and taken back."""
    name, tried = report.model_name, f"version {report.challenger.model_version}"
    next_step = (
        "It stays registered. Read the report, and fix what it says before the next training."
        if report.verdict is RolloutVerdict.UNHEALTHY
        else "There was too little to tell by. Give it a longer rollout.window, or a larger rollout.share."
    )
    text = _text(
        f"{tried.capitalize()} of {name} was tried as {report.mode} and taken back: {report.verdict}. "
        f"{_named(report.champion.model_version)} serves alone again.",
        sentences_of(report.reasons),
        next_step,
        url,
    )
    event: NotificationEvent = "rolled_back" if report.verdict is RolloutVerdict.UNHEALTHY else "rejected"
    return Notification(event, f"{name}: {tried} taken back ({report.verdict})", text, url)


def _text(happened: str, why: Sequence[str], next_step: str, url: str) -> str:
    lines = [happened, "Why:", bounded_lines(why, _N_REASONS), f"What to do next: {next_step}", url]
    return "\n".join(lines).rstrip()


def _named(version: int | None) -> str:
    return name_version(version).capitalize()
