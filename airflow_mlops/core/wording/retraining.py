"""What decides whether a run trains, and whether the monitoring gives an alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from airflow_mlops.core.reason import Reason
from airflow_mlops.errors import counted
from airflow_mlops.specs._base import shown_duration

__all__ = ["SOURCES", "say"]


def say(reason: Reason) -> str:
    """Return the sentence of a rule of the retraining."""
    return _RULES[reason.rule](reason)


def _alert(reason: Reason) -> str:
    facts = reason.facts
    return f"Alert of the monitoring at {_at(facts['alert_at'])} ({', '.join(facts['alert_kinds'])}): "


SOURCES: Mapping[str, Callable[[Reason], str]] = {
    "alert": _alert,
    "new_data": lambda _: "New data: ",
    "drift_of_new_data": lambda _: "Drift of new data: ",
    "drift_in_production": lambda _: "Drift in production: ",
    "performance": lambda _: "Performance: ",
}
"""What stands before the reasons of other stages that a decision repeats, by where it has them from."""


def _nothing_new(reason: Reason) -> str:
    facts = reason.facts
    earlier = f"run {facts['run']} ({facts['outcome']})"
    if facts["unhealthy_version"] is not None:
        earlier += f", whose version {facts['unhealthy_version']} {facts['why_unhealthy']}"
    way_out = "Set force to train all the same."
    if facts["has_alerts"]:
        way_out = (
            "So no training can answer the alert: it needs new rows. Deliver them, or set force to train all the "
            "same; if the champion does harm, roll back."
        )
    return f"Nothing new: data, code and parameters are those of {earlier}. {way_out}"


def _cooldown(reason: Reason) -> str:
    until = f"Cooldown until {_at(reason.facts['until'])} ({reason.setting} {_duration(reason.required)})."
    return until + _force(reason)


def _max_per_week(reason: Reason) -> str:
    trainings = counted(int(reason.observed or 0), "training")
    return f"{trainings} in the last seven days, {reason.setting} is {reason.required}." + _force(reason)


def _force(reason: Reason) -> str:
    return " Set force to train all the same." if reason.facts.get("may_force") else ""


def _alerts(reason: Reason) -> str:
    noun, n_checks = reason.facts["noun"], reason.n or 0
    last = f"the last {noun}"
    if not reason.observed == n_checks == 1:
        last = f"{reason.observed} of the last {counted(n_checks, noun)}"
    return f"{reason.facts['state']} in {last}, {_asked(reason)}."


def _no_alerts(reason: Reason) -> str:
    states = ", ".join(f"{kind} {state}" for kind, state in reason.facts["states"].items()) or "no check was made"
    what = "No alert" if reason.verdict == "NO_ALERT" else "The evidence does not ask for it"
    return f"{what} ({states}), {_asked(reason)}."


def _asked(reason: Reason) -> str:
    return f"{reason.setting} {reason.required} of {reason.facts['of']}"


def _answer_within(reason: Reason) -> str:
    alert = f"The alert of {_at(reason.facts['raised_at'])}"
    if reason.verdict == "ALERT":
        return f"{alert} was not answered by a run, so it is raised again."
    return f"{alert} is not answered yet; it has until {reason.setting} {_duration(reason.required)}."


def _max_age(reason: Reason) -> str:
    age = f"The last training was on {_at(reason.facts['last_at'])}"
    return f"{age}, {reason.setting} is {_duration(reason.required)}."


def _no_report(reason: Reason) -> str:
    return (
        f"The {reason.subject} check gave no report: it failed or was skipped, see its task. Nothing is known of what "
        f"it asks."
    )


def _at(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


def _duration(seconds: object) -> str:
    return shown_duration(timedelta(seconds=float(str(seconds))))


_RULES: Mapping[str, Callable[[Reason], str]] = {
    "forced": lambda _: "Forced by the run's parameters.",
    "nothing_new": _nothing_new,
    "cooldown": _cooldown,
    "max_per_week": _max_per_week,
    "cold_start": lambda _: "Cold start: there is no champion yet.",
    "new_data": lambda reason: f"Data, code or parameters changed since v{reason.facts['champion_version']}.",
    "new_recipe": lambda reason: f"Code or parameters changed since the training of {_at(reason.facts['last_at'])}.",
    "alerts": _alerts,
    "no_alerts": _no_alerts,
    "max_age": _max_age,
    "champion": lambda _: "There is no champion, so there is nothing to watch.",
    "answer_within": _answer_within,
    "no_report": _no_report,
    "other_version": lambda reason: (
        f"The {reason.subject} check looked at v{reason.observed}, which is champion no longer."
    ),
}
