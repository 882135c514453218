from __future__ import annotations

import re

from airflow_mlops.adapters.documents.html import report_page
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.pages.evaluation import blessing_page
from airflow_mlops.pages.reasons import reasons_table
from tests.core.cases import recorded
from tests.core.value_cases import BLESSING, EVALUATION

WORSE = Reason(
    stage="gate",
    rule="change_threshold",
    verdict="REJECTED",
    subject="roc_auc",
    observed=-0.0131234,
    required=0.005,
    interval=Interval(difference=-0.0131234, low=-0.019, high=-0.007),
    n=4812,
)


def _cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", re.sub(r">\s+<", "><", page), re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def _page(*reasons: Reason) -> str:
    return report_page(title="t", verdict="v", facts={}, reasons=(), tables={"Rules": reasons_table(reasons)})


def test_a_reason_is_a_row_of_its_numbers():
    header, row = _cells(_page(WORSE))
    assert header == ["Rule", "Subject", "Observed", "Required", "Difference [interval]", "n", "Verdict"]
    assert row == [
        "change threshold",
        "roc_auc",
        "-0.01312",
        "0.005",
        "-0.01312 [-0.019, -0.007]",
        "4812",
        "REJECTED",
    ]


def test_numbers_and_the_headings_over_them_stand_on_the_right():
    page = _page(WORSE)
    for cell in ('<th class="number">Observed</th>', '<td class="number">4812</td>', '<td class="number">0.005</td>'):
        assert cell in page
    assert page.count('class="number"') == 8
    assert '<td class="short">roc_auc</td>' in page


def test_what_was_not_counted_is_an_empty_cell_and_a_setting_is_yes_or_no():
    cold = Reason(stage="gate", rule="cold_start", verdict="REJECTED", observed=False, required=True)
    assert _cells(_page(cold))[1] == ["cold start", "", "no", "yes", "", "", "REJECTED"]


def test_a_reason_of_an_older_version_is_shown_in_its_words():
    assert _cells(_page(*recorded("Passed: it is good.")))[1] == [
        "recorded",
        "Passed: it is good.",
        "",
        "",
        "",
        "",
        "",
    ]


def test_the_page_of_the_gate_has_the_sentences_and_then_the_numbers():
    page = blessing_page(BLESSING, EVALUATION)
    assert page.index("<li>Passed: it is good.</li>") < page.index("<h2>Rules</h2>") < page.index("Metrics on the same")
    assert ["value threshold", "r2", "-0.2", "0.05", "", "60", "REJECTED"] in _cells(page)
