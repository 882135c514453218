from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from airflow_mlops.adapters.documents.markdown import as_html, escape_markdown

EVIL = "<script>alert(1)</script>|\n\n# `*x*` [y](javascript:z) ![i](http://e.org/i.png) &lt; __b__ ~~s~~ \\"
texts = st.text(st.characters(codec="utf-8")) | st.text("\\`*_[]()<>|~&$!#:;\n\r\t ab1-+.=/", max_size=40)


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _shown_cells(markdown: str) -> list[list[str]]:
    """Return the texts of a table's cells, each as a list of what its tokens are and the text itself."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    cells = [token.children or [] for token in tokens if token.type == "inline"]
    return [["".join(child.content for child in cell), *{child.type for child in cell}] for cell in cells]


@given(texts)
def test_whatever_a_value_is_it_is_shown_as_it_is_in_one_cell(text):
    shown = _shown_cells(f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | end |\n")
    line = _line(text)
    assert shown == [["a", "text"], ["b", "text"], [line, "text"] if line else [""], ["end", "text"]]


@given(texts)
def test_whatever_a_value_is_it_is_shown_as_it_is_within_a_line(text):
    shown = _shown_cells(f"- It is {escape_markdown(text)}, and so on\n")
    assert shown == [[f"It is {_line(text)}, and so on".replace("  ", " "), "text"]] or not _line(text)


def test_the_usual_names_and_intervals_stay_readable():
    for text in (
        "mean_absolute_error",
        "-0.1756 [-0.2477, -0.1084]",
        "age < 25 & region=north",
        "sha256:4eb08ae8",
        "1.5",
    ):
        assert escape_markdown(text) == text


def test_a_long_value_is_cut():
    shown = escape_markdown("*" * 1000)
    assert shown == "\\*" * 299 + "…"


@pytest.mark.parametrize("text", [EVIL, f"- {EVIL}", f"> {EVIL}"])
def test_html_of_what_was_not_even_escaped_runs_nothing_and_loads_nothing(text):
    page = as_html(text, title=EVIL)
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page


def test_a_page_stands_alone_and_has_the_tables_of_its_markdown():
    page = as_html("# Card\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n", title="m v1")
    for text in ("<title>m v1</title>", "<h1>Card</h1>", "<td>1</td>", "</html>"):
        assert text in page
    for text in ("<script", "http://", "https://", "<link"):
        assert text not in page
