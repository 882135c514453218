"""What the gate's rules say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.errors import bounded

__all__ = ["SOURCES", "say"]

_NO_GOLDEN_ROWS = "The serving check has no golden rows, so nothing shows that the packaged model serves."
_OUTCOMES = {"REJECTED": "Failed", "INCONCLUSIVE": "Undecided", "BLESSED": "Passed"}

SOURCES: Mapping[str, Callable[[Reason], str]] = {"serving_check": lambda reason: f"{_outcome(reason)}: Served, "}
"""What stands before the reasons of other stages that the gate repeats, by where it has them from."""


def say(reason: Reason) -> str:
    """Return the sentence of a rule of the gate."""
    return f"{_outcome(reason)}: {_RULES[reason.rule](reason)}"


def _outcome(reason: Reason) -> str:
    return _OUTCOMES[reason.verdict]


def _min_rows(reason: Reason) -> str:
    return f"Only {reason.observed} rows were held out, {reason.setting} is {reason.required}."


def _min_units(reason: Reason) -> str:
    units = f"{reason.observed} {reason.facts['resampled']}"
    return f"{reason.n} rows are {units}; an interval needs {reason.required} of them."


def _champion_scored(reason: Reason) -> str:
    return f"Champion v{reason.facts['champion_version']} could not be scored: {reason.facts['error']}"


def _signature_change(reason: Reason) -> str:
    return (
        f"Whoever calls champion v{reason.facts['champion_version']} could not call the challenger: "
        f"{'; '.join(reason.facts['breaks'])}. If they know, set {reason.setting}: true."
    )


def _cold_start(reason: Reason) -> str:
    if reason.verdict == "BLESSED":
        return "Cold start: there is no champion to compare with."
    return f"There is no champion to compare with; declare {reason.setting}: true to bless a first version."


def _evaluated(reason: Reason) -> str:
    return f"{reason.setting} was not evaluated; run the evaluation again with this gate."


def _finite(reason: Reason) -> str:
    return f"{reason.subject} is {reason.observed}, which is never good enough."


def _value_threshold(reason: Reason) -> str:
    return f"{reason.subject} {reason.observed:.4g}, {reason.setting} {reason.required:.4g}."


def _baseline(reason: Reason) -> str:
    facts = reason.facts
    asked = f"{reason.setting} {facts['threshold']:.4g}; " if reason.setting else ""
    return (
        f"{reason.subject} {facts['challenger']:.4g} against the naive baseline's {facts['baseline']:.4g} "
        f"({facts['kind']}); {asked}{_difference(reason)}."
    )


def _champion(reason: Reason) -> str:
    facts = reason.facts
    known = f"{reason.subject} {facts['challenger']:.4g} against champion v{facts['champion_version']}'s"
    asked = f"{facts['champion']:.4g}, {reason.setting} {facts['threshold']:.4g}"
    if reason.required is None:
        return f"{known} {asked}: nothing is a fraction of that. Use change_threshold."
    return f"{known} {asked}; {_difference(reason)}."


def _slices_compared(reason: Reason) -> str:
    at_least = f"No slice of at least {reason.facts['min_rows']} rows"
    return f"{at_least} was compared with the champion; {_asked_of_slices(reason)}."


def _slices(reason: Reason) -> str:
    facts, asked = reason.facts, _asked_of_slices(reason)
    if reason.verdict == "BLESSED":
        word = "shown to be worse" if facts["evidence"] == "shown_worse" else "possibly worse"
        return f"{reason.subject} is {word} than allowed in none of {facts['n_judged']} slices; {asked}."
    what = "is worse than allowed" if reason.verdict == "REJECTED" else "can't be told to be good enough"
    return f"{reason.subject} {what} in {_listed(reason)}; {asked}."


def _asked_of_slices(reason: Reason) -> str:
    return f"{reason.setting} {reason.facts['threshold']:.4g}"


def _listed(reason: Reason) -> str:
    """List the first three slices, and say how many more there are."""
    shown = [f"{each['name']} ({Interval(**each['interval'])}, n={each['n_rows']})" for each in reason.facts["slices"]]
    return bounded(shown + [""] * (reason.facts["n_slices"] - len(shown)), 3)


def _fairness(reason: Reason) -> str:
    text = f"{reason.subject} is {reason.observed:.4g}, {reason.setting} {reason.required:.4g}"
    if reason.verdict != "INCONCLUSIVE":
        return f"{text}."
    return f"{text}: it needs two groups of at least {reason.facts['min_rows']} rows, with rows of each class."


def _fairness_measured(reason: Reason) -> str:
    asked = f"{reason.setting} {reason.required:.4g}"
    return f"{reason.subject} was not measured, {asked}. It is of another kind of target."


def _serving_check(reason: Reason) -> str:
    facts = reason.facts
    measured = (
        ("p95 latency", facts["latency_p95_ms"], "ms"),
        ("memory", facts["memory_mb"], "MB"),
        ("start", facts["start_s"], "s"),
    )
    shown = ", ".join(f"{name} {value:.4g} {unit}" for name, value, unit in measured if value is not None)
    return f"The packaged model serves as it predicts, in {reason.n} checks ({shown})."


def _difference(reason: Reason) -> str:
    return f"difference {reason.interval}, {reason.facts['confidence_level']:.0%} interval, n={reason.n}"


_RULES: Mapping[str, Callable[[Reason], str]] = {
    "min_rows": _min_rows,
    "min_units": _min_units,
    "champion_scored": _champion_scored,
    "signature_change": _signature_change,
    "cold_start": _cold_start,
    "evaluated": _evaluated,
    "finite": _finite,
    "value_threshold": _value_threshold,
    "baseline_change_threshold": _baseline,
    "change_threshold": _champion,
    "relative_change_threshold": _champion,
    "slices_compared": _slices_compared,
    "slices": _slices,
    "fairness": _fairness,
    "fairness_measured": _fairness_measured,
    "serving_check": _serving_check,
    "golden_rows": lambda _: _NO_GOLDEN_ROWS,
}
