"""Numbers of reasons as the cells of a table show them."""

from __future__ import annotations

from airflow_mlops.core.reason import Reason

__all__ = ["HEADER", "cells_of", "shown"]

HEADER = ("Rule", "Subject", "Observed", "Required", "Difference [interval]", "n", "Verdict")
"""What :func:`cells_of` gives, in order."""


def shown(value: object) -> str:
    """Return a value as a cell shows it: a number with four digits, nothing of nothing.

    >>> shown(0.123456), shown(4812), shown(True), shown(None), shown("DRIFTED")
    ('0.1235', '4812', 'yes', '', 'DRIFTED')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def cells_of(reason: Reason) -> tuple[str, ...]:
    """Return a reason as a row of a table; the one of an older document, which has no numbers, as its sentence."""
    if reason.recorded and not reason.subject:
        return reason.rule, reason.recorded, "", "", "", "", reason.verdict
    numbers = (reason.observed, reason.required, reason.interval, reason.n)
    return reason.rule.replace("_", " "), reason.subject, *map(shown, numbers), reason.verdict
