from __future__ import annotations

import re

from airflow_mlops.adapters.documents.html import Link, Listed, report_page

EVIL = "<script>alert('x')</script>"


def _page(**settings) -> str:
    return report_page(
        **{
            "title": "Evaluation of churn",
            "verdict": "REJECTED",
            "facts": {"rows": 4812},
            "reasons": ["roc_auc dropped"],
            "tables": {"Metrics": ([["metric", "value"]], [["accuracy", 0.811]])},
            **settings,
        }
    )


def test_a_page_shows_all_that_it_is_given():
    page = _page()
    for text in ("Evaluation of churn", "REJECTED", "rows", "4812", "roc_auc dropped", "Metrics", "accuracy", "0.811"):
        assert text in page


def test_nothing_that_comes_from_the_data_becomes_markup():
    page = _page(
        title=EVIL, verdict=EVIL, facts={EVIL: EVIL}, reasons=[EVIL], tables={EVIL: ([[EVIL]], [[EVIL, EVIL]])}
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_a_page_stands_alone_without_scripts_and_without_anything_from_elsewhere():
    page = _page()
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_page_without_facts_reasons_and_tables_is_a_page():
    assert "REJECTED" in _page(facts={}, reasons=[], tables={})


def test_what_is_short_stays_in_one_piece_and_a_digest_may_be_broken():
    cells = [
        "INCONCLUSIVE",
        "2026-11-23 00:00",
        0.00303234,
        Link("report", "../r.html"),
        "word " * 9,
        "sha256:" + "0" * 64,
    ]
    page = _page(tables={"Rows": ([["a"] * 6], [cells])})
    assert re.findall(r'<td class="(\w+)">', page) == ["short", "short", "short", "short", "usual", "long"]


def test_the_pictures_follow_the_first_table():
    tables = {"First": ([["a"]], [[1]]), "Second": ([["a"]], [[2]])}
    page = _page(tables=tables, pictures={"Drawn": "<svg></svg>"})
    assert page.index("First") < page.index("<svg>") < page.index("Second")


def test_several_texts_of_a_cell_are_a_list_and_one_is_not():
    page = _page(tables={"Why": ([["Why"]], [[Listed(("one", EVIL))], [Listed(("alone",))], [Listed(())]])})
    assert '<td class="usual"><ul><li>one</li><li>&lt;script&gt;' in page
    assert '<td class="short">alone</td>' in page
    assert '<td class="short"></td>' in page
    assert "<script" not in page
