from __future__ import annotations

import pytest

from airflow_mlops.errors import UnavailableError
from airflow_mlops.steps.pipeline import PipelineResult, run_pipeline
from airflow_mlops.steps.promotion.promote import promote_model, register_model, rollback_model
from tests.steps.cases import NOTHING_LEFT, Bench, elsewhere, left_by, run_named, runs_by_status


def _message(error: UnavailableError, url: str) -> str:
    message = str(error)
    assert message.startswith(f"MLflow at {url} does not answer: ")
    assert "The champion stays. Check that the server runs and that the connection names it, then retry." in message
    return message


def test_an_outage_at_the_start_stops_the_run_before_anything_is_read_or_written(delivered: Bench, outage: str):
    platform = elsewhere(delivered.platform, outage)
    with pytest.raises(UnavailableError) as caught:
        run_pipeline(delivered.spec(), platform=platform, run=run_named("first"))
    _message(caught.value, outage)
    assert not delivered.platform.storage.root.exists()


def test_a_server_that_fails_is_told_from_one_that_is_not_there(delivered: Bench, dead_url: str, broken_url: str):
    for url, words in ((dead_url, "ConnectionError"), (broken_url, "HTTP status 500")):
        with pytest.raises(UnavailableError) as caught:
            elsewhere(delivered.platform, url).mlflow.check()
        assert words in _message(caught.value, url)


def test_an_outage_before_the_registration_leaves_a_trained_model_and_no_version(
    delivered: Bench, held: PipelineResult, outage: str
):
    with pytest.raises(UnavailableError) as caught:
        register_model(held.model, held.blessing, platform=elsewhere(delivered.platform, outage))
    _message(caught.value, outage)
    assert left_by(delivered.platform).versions == (1,)
    assert runs_by_status(delivered.platform) == {"FINISHED": 1}


def test_an_outage_between_registration_and_promotion_is_over_at_the_retry(
    delivered: Bench, held: PipelineResult, outage: str
):
    run = run_named("first")
    with pytest.raises(UnavailableError) as caught:
        promote_model(held.version, held.blessing, platform=elsewhere(delivered.platform, outage), run=run)
    _message(caught.value, outage)
    left = left_by(delivered.platform)
    assert (left.versions, left.alias, left.journal) == ((1,), None, ())
    record = promote_model(held.version, held.blessing, platform=delivered.platform, run=run)
    assert (record.sequence, record.to_version) == (1, 1)
    assert left_by(delivered.platform).alias == 1


def test_an_outage_leaves_the_champion_where_a_rollback_was_asked_for(two_versions: Bench, outage: str):
    before = left_by(two_versions.platform)
    with pytest.raises(UnavailableError) as caught:
        rollback_model(
            "small", reason="strange", platform=elsewhere(two_versions.platform, outage), run=run_named("back")
        )
    _message(caught.value, outage)
    assert left_by(two_versions.platform) == before


def test_an_outage_while_the_champion_is_scored_is_an_outage_and_no_verdict(serving: Bench, outage: str):
    with pytest.raises(UnavailableError):
        run_pipeline(serving.spec(), platform=elsewhere(serving.platform, outage), run=run_named("second"))
    assert left_by(serving.platform).journal == (("promote", None, 1),)
    assert not serving.platform.storage.exists("reports", "small", "second")


def test_a_database_whose_folder_can_not_be_made_is_an_outage(delivered: Bench):
    blocked = delivered.inbox.parent / "a file"
    blocked.write_text("not a folder")
    uri = f"sqlite:///{blocked}/mlflow/mlflow.db"
    with pytest.raises(UnavailableError) as caught:
        run_pipeline(delivered.spec(), platform=elsewhere(delivered.platform, uri), run=run_named("first"))
    assert "Not a directory" in _message(caught.value, uri)
    assert left_by(delivered.platform) == NOTHING_LEFT
