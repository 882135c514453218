"""Markdown: pages that are read as text and, by markdown-it, as HTML that says the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from airflow_mlops.core.wording import sentence_of
from airflow_mlops.core.wording.numbers import cells_of

__all__ = ["as_html", "escape_markdown", "render_markdown"]

_MAX_LENGTH = 300
_SPECIAL = re.compile(r"[\\`*|~$]|<(?=[A-Za-z/!?])|&(?=[\w#])|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What begins markup where it stands. What does so at the start of a line alone is left: no value is there."""


def escape_markdown(value: object) -> str:
    r"""Return a value as Markdown that shows just that: one line, without markup, HTML or the end of a table's cell.

    :param value: anything; of a long text the first 300 characters. It must not stand at the start of a line.

    >>> print(escape_markdown("<b>|\n*x* a_b < 1"))
    \<b>\| \*x\* a_b < 1
    """
    line = " ".join("".join(each if each.isprintable() else " " for each in str(value)).split())
    if len(line) > _MAX_LENGTH:
        line = f"{line[: _MAX_LENGTH - 1]}…"
    return _SPECIAL.sub(r"\\\g<0>", line)


def render_markdown(template: str, values: Mapping[str, object]) -> str:
    """Fill a Markdown template. Whatever it prints is escaped.

    :param template: the name of a file in ``templates``.
    """
    text = _environment().get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_html(text: str, *, title: str) -> str:
    """Return Markdown as a stand-alone HTML page, without scripts and without anything from elsewhere.

    :param text: HTML in it is shown and not obeyed.
    """
    body = MarkdownIt("commonmark", {"html": False}).disable("image").enable("table").render(text)
    pages = jinja2.Environment(loader=_loader(), autoescape=True, undefined=jinja2.StrictUndefined)
    return pages.get_template("document.html").render(title=title, body=Markup(body))  # noqa: S704  # markdown-it's own


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=_loader(),
        autoescape=True,  # so that what a macro gives is known not to be escaped again
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "number": _number,
        "percent": _percent,
        "sentence": sentence_of,
        "cells": cells_of,
    }
    return environment


def _loader() -> jinja2.PackageLoader:
    return jinja2.PackageLoader("airflow_mlops.adapters.documents")


def _finalize(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(escape_markdown(value))  # noqa: S704  # it is escaped


def _code(value: object) -> Markup:
    """Return a value between backticks. In a code span nothing is escaped, so it must have no backtick itself."""
    return Markup(f"`{' '.join(str(value).replace('`', ' ').split())}`")  # noqa: S704  # markdown-it escapes it


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _percent(fraction: float) -> str:
    return f"{fraction:.1%}" if fraction else "0"
