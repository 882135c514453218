"""What is found of a packaged model: how its server answered, and what became of a conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording._texts import Texts, told_or_plain

__all__ = ["found_and_expected", "say"]

_EXPECTED = {
    "predictions": "the model's own predictions",
    "predictions_or_error": "the model's own predictions, or an error status",
    "error": "an error status",
}

Words = Callable[[Reason], str]


def say(reason: Reason) -> str:
    """Return the sentence of a check of the serving, or of a conversion."""
    if reason.rule in _EXPORT:
        return _EXPORT[reason.rule](reason)
    found, expected = _found_and_expected(reason)
    return f"{reason.subject}: found {found}, expected {expected}."


def found_and_expected(reason: Reason) -> Texts:
    """Return what a check of the serving found and what it expected, for a table's cells."""
    return told_or_plain(_found_and_expected, reason)


def _found_and_expected(reason: Reason) -> Texts:
    if reason.recorded:
        return str(reason.observed), str(reason.required)
    found, expected = _SERVING[reason.rule]
    return found(reason), expected(reason)


def _answered(reason: Reason) -> str:
    fault, n_refused = reason.facts["fault"], reason.facts["n_refused"]
    if fault is None:
        return f"{(reason.n or 0) - n_refused} request(s) answered rightly, {n_refused} refused"
    column = reason.facts["column"]
    return _FAULTS[fault["kind"]].format(**fault).rstrip() + (f" (column {column!r})" if column else "")


_FAULTS = {
    "no_answer": "no answer ({problem})",
    "status": "HTTP status {status} {problem}",
    "accepted": "{n_wrong} prediction(s) in place of an error",
    "malformed": "{problem}",
    "other": "{n_wrong} of {n_rows} prediction(s) that are not the model's own",
}


def _started(reason: Reason) -> str:
    return f"{reason.observed:.1f} s" if reason.observed is not None else reason.facts["problem"]


def _measured(reason: Reason) -> str:
    return "not measured" if reason.observed is None else f"{reason.observed:.4g}"


_SERVING: Mapping[str, tuple[Words, Words]] = {
    "answers": (_answered, lambda reason: _EXPECTED[reason.facts["expected"]]),
    "start": (_started, lambda reason: f"an answer within {reason.required:g} s"),
    "budget": (_measured, lambda reason: f"at most {reason.required:g}"),
}


def _labels(reason: Reason) -> str:
    share = float(reason.observed or 0) / (reason.n or 1)
    return f"Another label in {reason.observed} of {reason.n} rows ({share:.1%}), none is allowed."


def _tolerance(reason: Reason) -> str:
    if reason.verdict == "KEPT":
        odd = f"{reason.facts['n_odd_rows']} of them odd ones"
        largest = f"largest difference {reason.observed:.3g}, tolerance {reason.required:g}"
        return f"The same answers to {reason.n} rows, {odd}; {largest}."
    where = f"in {reason.facts['n_beyond']} of {reason.n} rows"
    largest = f"the largest difference is {reason.observed:.3g}"
    return f"A number beyond the tolerance of {reason.required:g} {where}; {largest}."


_EXPORT: Mapping[str, Words] = {
    "rows": lambda _: "There was no row to compare on.",
    "labels": _labels,
    "tolerance": _tolerance,
    "conversion": lambda reason: f"No {reason.subject}: {reason.facts['problem']}.",
}
