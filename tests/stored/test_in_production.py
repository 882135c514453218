"""What an earlier version has stored is read where a model serves: by the monitoring, a rollback, the plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_mlops.hooks.platform import get_platform, get_watermark
from tests.stored.cases import FIRST_LOOK, NAME
from tests.stored.conftest import Stored

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

pytestmark = pytest.mark.airflow


@pytest.fixture
def given(stored: Stored) -> dict[str, Any]:
    """What a check of the monitoring is given."""
    from airflow_mlops.core.values import PipelineRun

    run = PipelineRun(pipeline=f"{NAME}_monitoring", run_id="look again")
    return {"model_name": NAME, "platform": get_platform("mlflow_default"), "run": run}


def test_the_stored_inference_log_is_compared_with_the_stored_profile_as_before(stored: Stored, given: dict[str, Any]):
    from airflow_mlops.steps.monitoring.drift import check_log_drift

    report = check_log_drift(stored.pipeline().monitoring, window_end=FIRST_LOOK, draw=False, **given)
    assert (report.status, report.champion_version, report.n_reference, report.n_current) == ("DRIFTED", 1, 79, 60)
    before = stored.document("reports", f"{NAME}_monitoring", "look_1", "drift.json")
    assert {each.name: each.statistics["psi"] for each in report.columns} == {
        each["name"]: pytest.approx(each["statistics"]["psi"]) for each in before["columns"]
    }


def test_labels_find_the_stored_predictions_and_the_champion_is_scored_as_at_its_blessing(
    stored: Stored, given: dict[str, Any]
):
    from airflow_mlops.steps.monitoring.performance import check_performance

    report = check_performance(stored.pipeline().performance, now=FIRST_LOOK, **given)
    assert (report.status, report.model_version) == ("DEGRADED", 1)
    (window,) = report.windows
    assert (window.counts.n_predictions, window.counts.n_labelled) == (60, 60)
    assert window.metrics[0].value.difference == pytest.approx(5.00625)
    assert window.metrics[0].at_blessing == pytest.approx(0.77366, abs=1e-5)


def test_a_person_goes_back_to_a_stored_version(stored: Stored, run_dag: Callable[..., DagRun]):
    dag = stored.pipeline().rollback_dag()
    done = run_dag(dag, run_conf={"reason": "v2 was right after all", "to_version": 2})
    assert str(done.state) == "success"
    lines = stored.cli("history", NAME, on_mlflow=False)
    assert lines[-1].split("  ")[-1] == "v2 was right after all"
    assert "v1 -> v2" in lines[-1]
    assert "ok   alias: 'champion' points to version 2, as the journal says." in stored.cli("verify", NAME)


def test_the_plugin_shows_the_stored_journal_and_ledger(stored: Stored, airflow_db: None):
    from airflow_mlops.plugin.app import show_model, show_models

    models, model = (bytes(page.body).decode() for page in (show_models(), show_model(NAME)))
    assert NAME in models
    assert "v2 answers strangely" in models
    for text in (
        "v2, v3",
        "trained on test fares",
        "Not before the holidays.",
        "Drift in production: Feature x: PSI 9.69, limit 0.2.",
        f"reports/{NAME}_monitoring/look_1/drift.html",
    ):
        assert text in model


def test_a_sensor_is_not_told_again_of_files_that_it_was_told_of(stored: Stored):
    assert get_watermark(f"{NAME}_data").handled() == {str(stored.folder / "inbox" / "trips" / "1.csv"): "1-4382"}
