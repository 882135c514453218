"""Jinja: the pages that reports are drawn on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import jinja2
from markupsafe import escape

from airflow_mlops.specs.data import in_utc

__all__ = ["Figure", "Link", "Listed", "Rows", "report_page", "shown_time"]


@dataclass(frozen=True)
class Link:
    """A cell or a fact that leads to another page, by a relative address."""

    text: str
    href: str

    def __html__(self) -> str:
        """Return the anchor, escaped; this is what Jinja asks a value for."""
        return f'<a href="{escape(self.href)}">{escape(self.text)}</a>'


@dataclass(frozen=True)
class Listed:
    """A cell of several texts, below each other."""

    texts: Sequence[str]

    def __html__(self) -> str:
        """Return a list, escaped; of one text that itself."""
        if len(self.texts) < 2:
            return "".join(escape(text) for text in self.texts)
        return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in self.texts)}</ul>"


@dataclass(frozen=True)
class Figure:
    """A number in a cell, or the heading of a column of numbers: set to the right."""

    text: str

    def __str__(self) -> str:
        return self.text


def shown_time(moment: datetime | None) -> str:
    """Return a time to the minute, in UTC; empty where there is none."""
    return f"{in_utc(moment):%Y-%m-%d %H:%M}" if moment else ""


Rows = Sequence[Sequence[object]]

_SHORT, _LONG_WORD = 24, 30


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airflow_mlops.adapters.documents"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["width"] = _width
    return environment


def _width(cell: object) -> str:
    """Return the class of a cell: a time, a number or a state stays in one piece, and a digest may be broken."""
    if isinstance(cell, Figure):
        return "number"
    text = cell.text if isinstance(cell, Link) else " ".join(cell.texts) if isinstance(cell, Listed) else str(cell)
    if len(text) <= _SHORT:
        return "short"
    return "long" if max(map(len, text.split()), default=0) > _LONG_WORD else "usual"


def report_page(
    *,
    title: str,
    verdict: str,
    facts: Mapping[str, object],
    reasons: Sequence[str],
    tables: Mapping[str, tuple[Rows, Rows]],
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Return a stand-alone HTML page, without scripts and without anything from elsewhere.

    :param verdict: the word that the page opens with.
    :param facts: what it is about, by name.
    :param tables: by heading, a header row (in a sequence of one) and the rows.
    :param pictures: by heading, SVG of our own drawing, which is put into the page as it is, after the first table.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(title=title, verdict=verdict, facts=facts, reasons=reasons, tables=tables, pictures=pictures or {})
    )
