"""The sentences of a performance check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.wording._texts import Words, around, listed
from airflow_mlops.errors import counted
from airflow_mlops.specs._base import shown_duration

__all__ = ["PERFORMANCE_RULES"]

_JUDGED = {"DEGRADED": "Worse", "UNDECIDED": "Undecided", "OK": "Not shown to be worse"}
_CLOCKS = "See the clocks and time zones; times without a zone are in UTC."


def _no_answers(reason: Reason) -> str:
    text = f"{reason.facts['n_failed']} of {reason.n} predictions are no answer (null, or no probability)"
    return f"{text}, {reason.setting} {reason.required:g}."


def _early_labels(reason: Reason) -> str:
    text = f"{reason.facts['n_bad']} of {reason.n} labels were known before their prediction was made"
    return f"{text}: see clocks and time zones, or what was predicted was known."


def _bad_labels(reason: Reason) -> str:
    of = f"{reason.facts['n_bad']} of {counted(reason.n or 0, 'labelled prediction')}"
    return f"{of}: their labels contradict each other, or are none of the target's values."


def _not_enough_labels(reason: Reason) -> str:
    facts = reason.facts
    share = facts["n_labelled"] / reason.n if reason.n else 0.0
    return (
        f"{facts['n_labelled']} of {reason.n} predictions are labelled ({share:.0%}), performance.min_rows "
        f"{facts['min_rows']} and min_coverage {facts['min_coverage']:g}."
    )


def _odd_labels(reason: Reason) -> str:
    examples = listed(reason.facts["examples"], reason.n or 0)
    return f"Labels such as {examples} are none of the classes {reason.facts['classes']}."


def _value_threshold(reason: Reason) -> str:
    value = f"{reason.subject} {around(_interval(reason))}"
    return f"{_JUDGED[reason.verdict]}: {value}, {reason.setting} {reason.required:.4g}."


def _change(reason: Reason) -> str:
    return f"{_against_blessing(reason)}; difference {reason.interval}."


def _no_margin(reason: Reason) -> str:
    return f"{_against_blessing(reason)}: nothing is a fraction of that. Use change_threshold."


def _against_blessing(reason: Reason) -> str:
    facts = reason.facts
    text = f"{_JUDGED[reason.verdict]}: {_value(reason)} against {facts['at_blessing']:.4g} at the blessing"
    return f"{text}, {reason.setting} {facts['threshold']:.4g}"


def _baseline_change(reason: Reason) -> str:
    against = f"{_value(reason)} against the naive baseline's {reason.facts['baseline']:.4g}"
    return f"{_JUDGED[reason.verdict]}: {against}; difference {reason.interval}."


def _value(reason: Reason) -> str:
    facts = reason.facts
    return f"{reason.subject} {around(Interval(difference=facts['value'], low=facts['low'], high=facts['high']))}"


def _interval(reason: Reason) -> Interval:
    if reason.interval is None:
        raise LookupError("a reason without its interval")  # then it is told without words, and not as a zero
    return reason.interval


def _slices(reason: Reason) -> str:
    n_slices = reason.n or 0
    where, rest = ", ".join(repr(_slice(each)) for each in reason.because), n_slices - len(reason.because)
    where = f"{where} and {rest} more" if where and rest else where or counted(n_slices, "slice")
    return f"{_JUDGED[reason.verdict]}: {reason.subject} in {where}; {reason.setting} {reason.required:.4g}."


def _slice(reason: Reason) -> str:
    return f"{reason.subject} ({reason.interval}, n={reason.n})"


def _future_predictions(reason: Reason) -> str:
    return f"In the future: {counted(reason.n or 0, 'prediction')} of the log. {_CLOCKS}"


def _future_labels(reason: Reason) -> str:
    return f"{reason.facts['n_bad']} of {reason.n} labels become known in the future. {_CLOCKS}"


def _windows(reason: Reason) -> str:
    start, end = _day(reason.facts["start"]), _day(reason.facts["end"])
    return (
        f"Worse than allowed: {reason.observed} of {counted(reason.n or 0, 'window')}; it takes {reason.required} for "
        f"a degradation. The newest, from {start} until before {end}, is {reason.facts['newest']}."
    )


def _younger_predictions(reason: Reason) -> str:
    facts = reason.facts
    counts_from = datetime.fromisoformat(facts["counts_from"])
    return (
        f"It has {counted(reason.n or 0, 'prediction')} after the window, which do not count yet: the first is from "
        f"{_day(facts['first'])} and counts from {counts_from:%Y-%m-%d %H:%M} UTC on (the end of its day and "
        f"{reason.setting} {shown_duration(timedelta(seconds=facts['maturity_s']))})."
    )


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d}"


def _null_labels(reason: Reason) -> str:
    return f"{reason.observed} of {counted(reason.n or 0, 'label')}: null, so not known yet."


def _repeated_labels(reason: Reason) -> str:
    return f"{reason.observed} of {counted(reason.n or 0, 'label')}: came again for the same prediction."


def _changed_labels(reason: Reason) -> str:
    return f"{_of_labelled(reason)}: their label was changed, the last one known counts."


def _contradicting_labels(reason: Reason) -> str:
    advice = "" if reason.facts["known_at"] else "; performance.known_at would say which label is the last"
    return f"{_of_labelled(reason)}: their labels contradict each other, so none of these counts{advice}."


def _unknown_labels(reason: Reason) -> str:
    return f"{_of_labelled(reason)}: the log does not have them."


def _of_labelled(reason: Reason) -> str:
    return f"{reason.observed} of {counted(reason.n or 0, 'labelled prediction')}"


def _no_label_found(reason: Reason) -> str:
    theirs, ours = (
        ", ".join(repr(tuple(each) if isinstance(each, list) else each) for each in reason.facts[side])
        for side in ("labels", "predictions")
    )
    return f"No label is of a prediction: the labels are of {theirs}, the predictions of {ours or 'none'}."


def _nothing_logged(reason: Reason) -> str:
    return f"The log has no prediction since {_day(reason.facts['since'])}."


PERFORMANCE_RULES: Mapping[str, Words] = {
    "no_predictions": lambda _: "The log has no prediction of this version in the window.",
    "no_answers": _no_answers,
    "early_labels": _early_labels,
    "bad_labels": _bad_labels,
    "not_enough_labels": _not_enough_labels,
    "odd_labels": _odd_labels,
    "value_threshold": _value_threshold,
    "change": _change,
    "no_margin": _no_margin,
    "baseline_change": _baseline_change,
    "slices": _slices,
    "slice": _slice,
    "future_predictions": _future_predictions,
    "future_labels": _future_labels,
    "windows": _windows,
    "no_younger_predictions": lambda _: "It has none after the window either.",
    "younger_predictions": _younger_predictions,
    "no_labels": lambda _: "No label has come.",
    "null_labels": _null_labels,
    "repeated_labels": _repeated_labels,
    "changed_labels": _changed_labels,
    "contradicting_labels": _contradicting_labels,
    "unknown_labels": _unknown_labels,
    "no_champion": lambda _: "There is no champion, so there is nothing to judge.",
    "labels_not_delivered": lambda reason: str(reason.facts["error"]),
    "nothing_logged": _nothing_logged,
    "no_label_found": _no_label_found,
}
