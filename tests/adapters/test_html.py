from __future__ import annotations

from airflow_mlops.adapters.html import Listed, report_page

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


def test_several_texts_of_a_cell_are_a_list_and_one_is_not():
    page = _page(tables={"Why": ([["Why"]], [[Listed(("one", EVIL))], [Listed(("alone",))], [Listed(())]])})
    assert "<td><ul><li>one</li><li>&lt;script&gt;" in page
    assert "<td>alone</td>" in page
    assert "<td></td>" in page
    assert "<script" not in page
