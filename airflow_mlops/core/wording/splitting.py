"""The sentences of a leakage check."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording._texts import Texts, listed, told_or_plain
from airflow_mlops.errors import bounded

__all__ = ["found_and_expected", "say"]

_N_EXAMPLES = 3


def say(reason: Reason) -> str:
    """Return what a note says, or the sentence of a finding, with some of the values that it is about."""
    if reason.rule in _NOTES:
        return reason.recorded or _NOTES[reason.rule](reason)
    found, expected = _found_and_expected(reason)
    examples = reason.facts.get("examples")
    such = f" (for example {bounded(examples, _N_EXAMPLES)})" if examples else ""
    rule = reason.facts.get("finding", reason.rule)
    return f"{reason.subject}: {rule}: found {found}, expected {expected}{such}."


def found_and_expected(reason: Reason) -> Texts:
    """Return what was found and what was expected, in words that stand inside of a sentence."""
    return told_or_plain(_found_and_expected, reason)


def _found_and_expected(reason: Reason) -> Texts:
    return _FINDINGS[reason.rule](reason)


def _shared_rows(reason: Reason) -> str:
    facts = reason.facts
    return f"{facts['n_shared']} of {reason.n} {facts['part']} rows ({reason.observed:.2%}) in the training part too"


def _rows_repeat(reason: Reason) -> str:
    names = listed(reason.facts["columns"], reason.facts["n_columns"])
    return f"rows repeat too often to tell duplicates: {_shared_rows(reason)}, by the values of {names} alone"


def _row_ids(reason: Reason) -> str:
    names = listed(reason.facts["columns"], reason.n or 0)
    return f"{names}: another value in every row, so rows were compared without"


def _rare_classes(reason: Reason) -> str:
    return (
        f"{reason.observed} of {reason.n} rows have another value of the target than the most frequent one: too few to "
        f"tell whether a feature reproduces it"
    )


def _many_values(reason: Reason) -> str:
    return (
        f"the target has {reason.observed} values in {reason.n} rows: too many to tell whether a feature stands for "
        f"one of them each"
    )


def _judged_alone(reason: Reason) -> str:
    return (
        f"{reason.n} numeric feature(s) were judged alone and in no combination, for their gaps or their number: "
        f"{', '.join(reason.facts['columns'])}"
    )


_NOTES: Mapping[str, Callable[[Reason], str]] = {
    "no_column_left": lambda _: "no column is left beside target, timestamp, key and ids: rows were not compared",
    "rows_repeat": _rows_repeat,
    "row_ids": _row_ids,
    "too_few_rows": lambda reason: f"{reason.n} rows with a target: too few to tell whether a feature reproduces it",
    "one_value": lambda reason: (
        f"the target {reason.subject!r} has one value only, which every feature would reproduce"
    ),
    "trend": lambda reason: (
        f"{reason.subject!r} follows the order of the rows, as a trend does: features were not compared by rank"
    ),
    "rare_classes": _rare_classes,
    "many_values": _many_values,
    "judged_alone": _judged_alone,
}
"""What could not be judged; parts of a sentence, without a full stop."""


def _reproduces_target(reason: Reason) -> Texts:
    correlation = float(reason.observed or 0.0)
    order = "in the same order" if correlation > 0 else "in the opposite order"
    found = f"{reason.n} rows {order} as by the target (rank correlation {correlation:.7f})"
    return found, "another order: no feature that is the target itself, scaled or transformed"


def _determines_class(reason: Reason) -> Texts:
    facts, expected = reason.facts, "values that leave the class open"
    if facts["how"] == "ranges":
        return f"ranges of values that part the classes without an error, in {reason.n} rows", expected
    if facts["how"] == "values":
        found = f"values that stand for one class each, in all of {reason.n} rows that were judged by other rows"
        return found, expected
    classes = listed(facts["classes"], facts["n_classes"])
    found = f"a value in all {reason.n} rows of class {classes} and in none of the other {facts['n_missing']} rows"
    return found, expected


def _combination(reason: Reason) -> Texts:
    expected = "no weighted sum of features that is the target"
    if reason.because:
        found, _ = _combination(reason.because[0])
        n_classes = reason.facts["n_classes"]
        return f"{n_classes} classes, each of which a weighted sum tells from the others: {found}", expected
    terms, n_terms = reason.facts["terms"], reason.facts["n_terms"]
    text = " + ".join(f"{weight:.4g}*{name}" for weight, name in terms)
    more = f" + {n_terms - len(terms)} more" if n_terms > len(terms) else ""
    left = f"which leaves {reason.observed:.1g} of its variance open on rows that it was not fitted on"
    return f"the target = {text}{more}, {left}", expected


def _known_too_late(reason: Reason) -> Texts:
    late = f"known after the prediction ({reason.facts['known_at']} > {reason.facts['predicted']})"
    return f"{reason.observed} of {reason.n} rows with a value {late}", "none"


def _known_at_null(reason: Reason) -> Texts:
    found = f"{reason.observed} of {reason.n} rows with a value where {reason.facts['known_at']} is null"
    return found, "none: when a value became known has to be known"


_FINDINGS: Mapping[str, Callable[[Reason], Texts]] = {
    "recorded_finding": lambda reason: (reason.facts["observed"], reason.facts["expected"]),
    "shared_rows": lambda reason: (_shared_rows(reason), f"at most {reason.required:.2%}"),
    "shared_groups": lambda reason: (
        f"{reason.observed} of {reason.n} {reason.facts['part']} groups in the training part too",
        "none",
    ),
    "reproduces_target": _reproduces_target,
    "determines_class": _determines_class,
    "combination_reproduces_target": _combination,
    "prediction_time_null": lambda reason: (
        f"{reason.observed} of {reason.n} rows without it",
        "a time in every row",
    ),
    "known_too_late": _known_too_late,
    "known_at_null": _known_at_null,
}
"""Ways in which the answer leaks."""
