"""Whether what is seen in production is a reason to start the training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.core.retraining.decision import (
    ALARMS,
    RetrainDecision,
    brake_of,
    count_alarms,
    last_training,
    report_of,
    seen_states,
    tell_count,
)
from airflow_mlops.core.values import Value
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.retrain import RetrainPolicy

__all__ = ["MonitoringDecision", "decide_alarm", "open_alarms", "reasons_of", "tell_missing"]


@dataclass(frozen=True, kw_only=True)
class MonitoringDecision(Value):
    """Whether a look at production starts the training, always with the reasons.

    :param champion_version: that production was asked of; ``None``: there is no champion.
    :param kinds: the evidence that gives the alarm, such as ``("drift",)``; empty: there is none.
    :param evidence: the state of each check, such as ``{"drift": "STABLE"}``, where its report is, and which rows it
        looked at.
    """

    model_name: str
    champion_version: int | None
    kinds: tuple[str, ...]
    reasons: tuple[str, ...]
    evidence: dict[str, Any] = field(default_factory=dict)
    run_id: str
    trigger: str = ""
    at: datetime

    @property
    def is_alarm(self) -> bool:
        """Whether it starts the training."""
        return bool(self.kinds)

    @property
    def report_uri(self) -> str:
        """The page of the check that it was made on, of several that of the alarm; empty: there is none."""
        return report_of(self.evidence, kinds=self.kinds)

    def __str__(self) -> str:
        what = f"alarm ({', '.join(self.kinds)})" if self.kinds else "no alarm"
        return f"{self.model_name}: {what}. " + " ".join(self.reasons)


def reasons_of(alarm: MonitoringDecision) -> tuple[str, ...]:
    """Return the reasons of an alarm as the decision that answers it repeats them."""
    first, *rest = alarm.reasons
    return f"Alarm of the monitoring at {alarm.at:%Y-%m-%d %H:%M} ({', '.join(alarm.kinds)}): {first}", *rest


def tell_missing(wanted: Collection[str], found: Collection[str]) -> tuple[str, ...]:
    """Say of which checks there is no report.

    :param wanted: the checks that there are to be, such as ``("drift", "performance")``.
    :param found: those that gave a report.
    """
    missing = sorted(set(wanted) - set(found))
    return tuple(
        f"The {kind} check gave no report: it failed or was skipped, see its task. Nothing is known of what it asks."
        for kind in missing
    )


def open_alarms(
    champion_version: int | None, history: Sequence[MonitoringDecision], decisions: Sequence[RetrainDecision]
) -> tuple[MonitoringDecision, ...]:
    """Return the alarms of the present champion that no decision has answered, oldest first."""
    answered = {digest for decision in decisions for digest in decision.alarms}
    alarms = (entry for entry in history if entry.is_alarm and entry.champion_version == champion_version)
    return tuple(entry for entry in alarms if entry.content_digest not in answered)


def decide_alarm(
    policy: RetrainPolicy,
    *,
    kinds: Collection[str],
    champion_version: int | None,
    evidence: Mapping[str, Any],
    shifts: Sequence[str] = (),
    history: Sequence[MonitoringDecision] = (),
    decisions: Sequence[RetrainDecision] = (),
    answer_within: timedelta,
    now: datetime,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Decide whether to start the training.

    The same policy decides in the run that is started, so nothing is started that it would not train in. A training
    begins the count of alarms anew, another champion too.

    :param kinds: the evidence that may start a training.
    :param evidence: the state of each check of this run, by kind, see
        :data:`~airflow_mlops.core.retraining.decision.ALARMS`.
    :param shifts: what the checks found, in words, for the reasons.
    :param history: earlier decisions of the monitoring, oldest first.
    :param decisions: earlier decisions of the training, oldest first.
    :param answer_within: how long an alarm may be unanswered before it is raised again: its run was missed.
    :param now: with a zone, as those of the history.
    :returns: the kinds of evidence that give an alarm, none of them for no, and the reasons.
    """
    if champion_version is None:
        return (), ("There is no champion, so there is nothing to watch.",)
    last = last_training(decisions)
    brake = brake_of(policy, decisions, last, now)
    if brake:
        return (), (brake, *shifts)
    waiting = open_alarms(champion_version, history, decisions)
    if waiting and now - waiting[-1].at < answer_within:
        text = (
            f"The alarm of {waiting[-1].at:%Y-%m-%d %H:%M} is not answered yet; it has until monitoring.answer_within"
        )
        return (), (f"{text} {shown_duration(answer_within)}.", *shifts)
    mine = [entry for entry in history if entry.champion_version == champion_version]
    since = [entry for entry in mine if last is None or entry.at > last.at]
    checks = [*(entry.evidence for entry in since), evidence]
    asked = f"retraining.alarms {policy.alarms} of {policy.of}"
    found, reasons, counts = [], [], count_alarms(checks, policy.of)
    for kind in sorted(kinds):
        count, n_checks = counts[kind]
        if count >= policy.alarms:
            found.append(kind)
            reasons.append(f"{ALARMS[kind]} in {tell_count(count, n_checks, 'look')}, {asked}.")
    if not found and waiting:
        found = sorted({kind for alarm in waiting for kind in alarm.kinds} & set(kinds))
        reasons = [f"The alarm of {waiting[-1].at:%Y-%m-%d %H:%M} was not answered by a run, so it is raised again."]
    if not found:
        reasons = [f"No alarm ({seen_states(evidence)}), {asked}."]
    return tuple(found), (*reasons, *shifts)
