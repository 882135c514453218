"""The table of the numbers that a decision was made on."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlops.adapters.documents.html import Figure, Rows
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording.numbers import HEADER, cells_of

__all__ = ["reasons_table"]

_NUMBERS = slice(2, 6)
"""The columns of numbers, which are set to the right."""


def reasons_table(reasons: Sequence[Reason]) -> tuple[Rows, Rows]:
    """Return header and rows: rule, subject, observed, required, interval, n, verdict."""
    return [_aligned(HEADER)], [_aligned(cells_of(reason)) for reason in reasons]


def _aligned(cells: tuple[str, ...]) -> tuple[object, ...]:
    return (*cells[: _NUMBERS.start], *map(Figure, cells[_NUMBERS]), *cells[_NUMBERS.stop :])
