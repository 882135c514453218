"""Reasons on a page: their sentences, and their numbers in columns of their own."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlops.adapters.documents.html import Rows
from airflow_mlops.core.reason import Reason

__all__ = ["IN_NUMBERS", "numbers_of", "shown_number"]

IN_NUMBERS = "Rules in numbers"
"""The heading of the table that :func:`numbers_of` makes."""

_HEADER = ("Rule", "About", "Verdict", "Observed", "Required", "Interval", "n")


def numbers_of(reasons: Sequence[Reason]) -> dict[str, tuple[Rows, Rows]]:
    """Return a table of what the rules found and required; none where no rule has a number."""
    rows = [
        (
            reason.rule.replace("_", " "),
            reason.subject or reason.setting,
            reason.verdict,
            shown_number(reason.observed),
            shown_number(reason.required),
            reason.interval or "",
            "" if reason.n is None else reason.n,
        )
        for reason in reasons
        if (reason.observed, reason.required) != (None, None)
    ]
    return {IN_NUMBERS: ([_HEADER], rows)} if rows else {}


def shown_number(value: object) -> object:
    """Return a number to four digits; empty where there is none, and anything else as it is."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value
