"""Whether a run trains, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_mlops.core.values import Value
from airflow_mlops.errors import counted
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.retrain import RetrainPolicy

__all__ = [
    "ALARMS",
    "RetrainDecision",
    "brake_of",
    "count_alarms",
    "decide_retraining",
    "last_training",
    "report_of",
    "seen_states",
    "tell_count",
]

ALARMS = {"drift": "DRIFTED", "performance": "DEGRADED"}
"""The states that are an alarm, by the kind of evidence."""

_WEEK = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class RetrainDecision(Value):
    """Whether to train, always with the reasons.

    :param recipe_digest: of code, parameters and search, without the data.
    :param evidence: the state of each check, such as ``{"drift": "STABLE"}``, where its report is, and which rows it
        looked at.
    :param alarms: digests of the monitoring's alarms that it answers.
    """

    model_name: str
    should_retrain: bool
    reasons: tuple[str, ...]
    snapshot_digest: str
    fingerprint: str
    recipe_digest: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    run_id: str
    trigger: str
    at: datetime

    @property
    def report_uri(self) -> str:
        """The page of the check that it was made on; empty: there is none."""
        return report_of(self.evidence)

    def __str__(self) -> str:
        return f"{self.model_name}: {'retrain' if self.should_retrain else 'not retrained'}. " + " ".join(self.reasons)


def decide_retraining(
    policy: RetrainPolicy,
    *,
    force: bool,
    champion_version: int | None,
    concluded: str | None,
    recipe_digest: str = "",
    evidence: Mapping[str, Any],
    alarms: Sequence[str] = (),
    shifts: Sequence[str] = (),
    history: Sequence[RetrainDecision] = (),
    now: datetime,
) -> tuple[bool, tuple[str, ...]]:
    """Decide whether this run trains.

    :param force: a person asks for it.
    :param concluded: how an earlier run with the same data, code and parameters ended; ``None`` if there
        is none.
    :param recipe_digest: of code, parameters and search.
    :param evidence: the state of each check of this run, by kind, see :data:`ALARMS`.
    :param alarms: of the monitoring, which are not answered yet, in words. They stand among the reasons of a no, too.
    :param shifts: what the checks found, in words, for the reasons.
    :param history: the model's earlier decisions, oldest first.
    :param now: with a zone, as those of the history.
    :returns: the decision and its reasons.
    """
    if force:
        return True, ("Forced by the run's parameters.", *alarms)
    shifts = tuple(dict.fromkeys((*alarms, *shifts)))  # a check that is repeated may find the same
    if concluded:
        text = f"Nothing new: data, code and parameters are those of {concluded}. {_way_out(alarms)}"
        return False, (text, *shifts)
    last = last_training(history)
    brake = brake_of(policy, history, last, now)
    if brake:
        return False, (f"{brake} Set force to train all the same.", *shifts)
    if champion_version is None:
        return True, ("Cold start: there is no champion yet.",)
    if policy.when == "new_data":
        return True, (f"Data, code or parameters changed since v{champion_version}.", *shifts)
    if last and recipe_digest and last.recipe_digest != recipe_digest:
        return True, (f"Code or parameters changed since the training of {last.at:%Y-%m-%d %H:%M}.", *shifts)
    if alarms:
        return True, shifts
    should_retrain, reason = _judge_evidence(policy, evidence, history, last, now)
    return should_retrain, (reason, *shifts)


def _way_out(alarms: Sequence[str]) -> str:
    """Say what to do where nothing is new."""
    if not alarms:
        return "Set force to train all the same."
    return (
        "So no training can answer the alarm: it needs new rows. Deliver them, or set force to train all the same; if "
        "the champion does harm, roll back."
    )


def last_training(history: Sequence[RetrainDecision]) -> RetrainDecision | None:
    """Return the last decision to train; ``None``: there is none."""
    return next((entry for entry in reversed(history) if entry.should_retrain), None)


def brake_of(
    policy: RetrainPolicy, history: Sequence[RetrainDecision], last: RetrainDecision | None, now: datetime
) -> str:
    """Say why nothing may train now, whatever there is to learn; empty: it may."""
    if last and now - last.at < policy.cooldown:
        cooldown = shown_duration(policy.cooldown)
        return f"Cooldown until {last.at + policy.cooldown:%Y-%m-%d %H:%M} (retraining.cooldown {cooldown})."
    recent = sum(entry.should_retrain and now - entry.at < _WEEK for entry in history)
    if policy.max_per_week is not None and recent >= policy.max_per_week:
        return (
            f"{counted(recent, 'training')} in the last seven days, retraining.max_per_week is {policy.max_per_week}."
        )
    return ""


def _judge_evidence(
    policy: RetrainPolicy,
    evidence: Mapping[str, Any],
    history: Sequence[RetrainDecision],
    last: RetrainDecision | None,
    now: datetime,
) -> tuple[bool, str]:
    since = history[history.index(last) + 1 :] if last else history
    checks = [*(entry.evidence for entry in since), evidence]
    asked = f"retraining.alarms {policy.alarms} of {policy.of}"
    for kind, (count, n_checks) in count_alarms(checks, policy.of).items():
        if count >= policy.alarms:
            return True, f"{ALARMS[kind]} in {tell_count(count, n_checks, 'run')}, {asked}."
    if policy.max_age and last and now - last.at >= policy.max_age:
        age = f"The last training was on {last.at:%Y-%m-%d %H:%M}"
        return True, f"{age}, retraining.max_age is {shown_duration(policy.max_age)}."
    return False, f"The evidence does not ask for it ({seen_states(evidence)}), {asked}."


def count_alarms(checks: Sequence[Mapping[str, Any]], of: int) -> dict[str, tuple[int, int]]:
    """Return for each kind of evidence in how many of the last ``of`` checks it was an alarm, and how many there were.

    A check that looked at the same rows as a later one does not count: to look again proves nothing more.

    >>> drifted = {"drift": "DRIFTED", "drift_rows": "sha256:1"}
    >>> count_alarms([drifted, drifted, {"drift": "STABLE", "drift_rows": "sha256:2"}], 3)["drift"]
    (1, 2)
    """
    found = {}
    for kind, state in ALARMS.items():
        rows, states = set(), []
        for check in reversed(checks):
            looked_at = check.get(f"{kind}_rows")
            if looked_at is None or looked_at not in rows:
                states.append(check.get(kind))
            rows.add(looked_at)
        found[kind] = sum(each == state for each in states[:of]), len(states[:of])
    return found


def tell_count(count: int, n_checks: int, noun: str) -> str:
    """Return in how many of the last checks something was so, in words.

    >>> tell_count(2, 3, "look"), tell_count(1, 1, "look")
    ('2 of the last 3 looks', 'the last look')
    """
    return f"the last {noun}" if count == n_checks == 1 else f"{count} of the last {counted(n_checks, noun)}"


def report_of(evidence: Mapping[str, Any], *, kinds: Sequence[str] = ()) -> str:
    """Return the page of the check that a decision was made on: of several, that of its alarm; empty: there is none.

    :param kinds: the evidence that gives the alarm.
    """
    found = (evidence.get(f"{kind}_report") for kind in (*kinds, "performance", "drift", "validation"))
    return next((uri for uri in found if uri), "")


def seen_states(evidence: Mapping[str, Any]) -> str:
    """Return the states of evidence in words."""
    return ", ".join(f"{kind} {evidence[kind]}" for kind in ALARMS if kind in evidence) or "no check was made"
