from __future__ import annotations

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.wording.numbers import HEADER, cells_of
from tests.core.cases import recorded


def test_a_reason_is_a_row_with_a_cell_for_each_heading():
    reason = Reason(
        stage="gate",
        rule="change_threshold",
        verdict="REJECTED",
        subject="roc_auc",
        observed=0.81149,
        required=0.005,
        interval=Interval(difference=-0.013, low=-0.019, high=-0.007),
        n=4812,
    )
    cells = cells_of(reason)
    assert len(cells) == len(HEADER)
    assert cells[:4] == ("change threshold", "roc_auc", "0.8115", "0.005")
    assert cells[4:] == (str(reason.interval), "4812", "REJECTED")


def test_the_sentence_of_an_older_document_is_its_only_cell():
    (reason,) = recorded("It moved.")
    assert cells_of(reason) == ("recorded", "It moved.", "", "", "", "", "")
