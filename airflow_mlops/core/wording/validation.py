"""The sentences of a validation: what was found, and what was expected in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording._texts import Texts, listed, told_or_plain
from airflow_mlops.errors import bounded

__all__ = ["found_and_expected", "say"]

_LONGEST = 300
_N_EXAMPLES = 3


def say(reason: Reason) -> str:
    """Return the sentence of a finding, with some of the values that it is about."""
    found, expected = _found_and_expected(reason)
    where = f"{reason.subject}: " if reason.subject else ""
    examples = reason.facts.get("examples")
    such = f" (for example {bounded(examples, _N_EXAMPLES)})" if examples else ""
    return f"{where}{reason.facts.get('finding', reason.rule)}: found {found}, expected {expected}{such}."


def found_and_expected(reason: Reason) -> Texts:
    """Return what a rule found and what it expected, in words that stand inside of a sentence."""
    return told_or_plain(_found_and_expected, reason)


def _found_and_expected(reason: Reason) -> Texts:
    make = _check if "kwargs" in reason.facts else _RULES[reason.rule]
    found, expected = make(reason)
    return f"{found}, which no row can be told by" if reason.facts.get("is_of_no_row") else found, expected


def _recorded(reason: Reason) -> Texts:
    return reason.facts["observed"], reason.facts["expected"]


def _check(reason: Reason) -> Texts:
    expected = ", ".join(f"{key}={value}" for key, value in reason.facts["kwargs"].items()) or "to hold"
    return _OBSERVED[reason.facts["kind"]](reason)[:_LONGEST], expected[:_LONGEST]


def _values(reason: Reason) -> str:
    if not reason.n:
        return "no value to look at"
    n_broken = reason.facts["n_broken"]
    return f"{n_broken} of {reason.n} values break it ({100 * n_broken / reason.n:.3g} %)"


def _columns(reason: Reason) -> str:
    return f"columns {listed(reason.facts['columns'], reason.facts['n_columns'])}"


def _column_set(reason: Reason) -> str:
    return f"missing: {_named(reason, 'missing')}; unexpected: {_named(reason, 'unexpected')}"


def _column_order(reason: Reason) -> str:
    return f"{reason.observed} columns; not in their place: {_named(reason, 'displaced')}"


def _named(reason: Reason, what: str) -> str:
    return listed(reason.facts[what], reason.facts[f"n_{what}"])


def _quantiles(reason: Reason) -> str:
    return ", ".join(f"{share}: {value}" for share, value in reason.facts["quantiles"])


def _distinct(reason: Reason) -> str:
    facts = reason.facts
    return f"{facts['n_outside']} different values outside the set, {facts['n_absent']} of the set not there"


def _most_common(reason: Reason) -> str:
    n_others = reason.facts["n_values"] - 1
    more = f" and {n_others} other values" if n_others else ""
    return f"{reason.observed!r}{more}, {reason.facts['n_rows']} times"


_OBSERVED: Mapping[str, Callable[[Reason], str]] = {
    "values": _values,
    "figure": lambda reason: str(reason.observed),
    "no_value": lambda _: "no value",
    "columns": _columns,
    "column_at": lambda reason: f"column {reason.observed!r} there",
    "column_set": _column_set,
    "column_order": _column_order,
    "quantiles": _quantiles,
    "distinct": _distinct,
    "most_common": _most_common,
    "unchecked": lambda reason: f"can't be checked: {reason.facts['error']}",
}
"""What a check of a suite observed, by its kind."""


def _timestamp_type(reason: Reason) -> Texts:
    return f"type {reason.observed}", "a date or a timestamp"


def _timestamp_null(reason: Reason) -> Texts:
    return f"{reason.observed} of {reason.n} rows null", "none"


def _timestamp_order(reason: Reason) -> Texts:
    found = "times that go back from one row to the next"
    if reason.facts["has_champion"]:
        return found, "rows in order, as the champion's are"
    return found, "rows in order, as long as no champion was trained on others"


def _column_missing(reason: Reason) -> Texts:
    expected = f"type {reason.required}" if reason.required else "the column that the suite checks"
    return f"no such column{_perhaps(reason)}", expected


def _perhaps(reason: Reason) -> str:
    similar = reason.facts["similar"]
    return "" if similar is None else f" (Did you mean {similar!r}?)"


def _column_empty(reason: Reason) -> Texts:
    n_reference = reason.facts.get("n_reference")
    found = f"all {reason.n} values missing"
    if n_reference is None:
        return found, "values for the suite to check"
    return found, f"values, as {n_reference} of the champion's rows have"


def _column_retyped(reason: Reason) -> Texts:
    advice = "; data.csv.types can say so where the values don't" if reason.facts.get("may_be_either") else ""
    return f"type {reason.observed}", f"type {reason.required}{advice}"


def _row_count(reason: Reason) -> Texts:
    n_reference = reason.facts["n_reference"]
    expected = f"at most {reason.required:g} times more or fewer than the champion's {n_reference}"
    return f"{reason.observed} rows", expected


def _value_range(reason: Reason) -> Texts:
    (low, high), (smallest, largest) = reason.facts["range"], reason.facts["champion"]
    expected = f"values near to the champion's, which are from {smallest:.6g} to {largest:.6g}"
    return f"{_share_of_rows(reason)} below {low:.6g} or above {high:.6g}", expected


def _category_new(reason: Reason) -> Texts:
    kind, known = reason.facts["kind"], reason.facts["known"]
    names = [f"{value:.17g}" for value in known] if kind == "numbers" else known
    expected = f"one of {listed(names, reason.facts['n_known'])}"
    if kind == "frequent":
        expected = f"{expected} in about {reason.required:.0%}, as the champion's rows have"
    what = {
        "new": "categories that are new",
        "numbers": "numbers that are new",
        "frequent": "one of the champion's frequent categories",
    }
    return f"{_share_of_rows(reason)} with {what[kind]}", expected


def _share_of_rows(reason: Reason) -> str:
    return f"{reason.facts['n_rows']} of {reason.n} rows ({reason.observed:.2%})"


def _serving_column_missing(reason: Reason) -> Texts:
    if not reason.subject:
        return listed(reason.facts["columns"], reason.n or 0), "a column that is trained on"
    return f"not in the {reason.facts['missing_in']}{_perhaps(reason)}", "in both"


def _serving_column_retyped(reason: Reason) -> Texts:
    return f"type {reason.observed} in the requests", f"type {reason.required}"


def _quarantine(reason: Reason) -> Texts:
    if "error" in reason.facts:
        return reason.facts["error"], "rows that can be set aside"
    return f"{_share_of_rows(reason)} are bad", f"at least one, at most {reason.required:.2%}"


_RULES: Mapping[str, Callable[[Reason], Texts]] = {
    "recorded": _recorded,
    "timestamp_type": _timestamp_type,
    "timestamp_null": _timestamp_null,
    "timestamp_order": _timestamp_order,
    "column_missing": _column_missing,
    "column_empty": _column_empty,
    "column_new": lambda reason: (f"type {reason.observed}", "no such column"),
    "column_retyped": _column_retyped,
    "row_count": _row_count,
    "value_range": _value_range,
    "category_new": _category_new,
    "nothing_checked": lambda _: (
        "no expectation and no champion's data to infer one from",
        "something to hold the data against",
    ),
    "serving_rows": lambda reason: (f"{reason.observed} requests", f"at least {reason.required}"),
    "serving_column_missing": _serving_column_missing,
    "serving_column_retyped": _serving_column_retyped,
    "serving_category_new": _category_new,
    "serving_skew": lambda reason: (f"PSI {reason.observed:.3g}", f"below {reason.required:g}"),
    "quarantine": _quarantine,
}
"""What is found beside the suite."""
