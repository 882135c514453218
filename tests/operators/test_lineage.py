"""What the record of a training says of the DAG run that it happened in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.operators._base import pipeline_run
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.registry.training_record import load_record
from tests.operators.conftest import House
from tests.steps.cases import small_frame, small_settings


def test_the_record_names_dag_run_try_and_reason(house: House):
    inbox = house.folder / "data"
    inbox.mkdir()
    small_frame().to_csv(inbox / "part-1.csv", index=False)
    ended = house.run(ContinuousTraining.parse(small_settings(inbox)).dag())
    champion = current_champion("small", platform=house.platform)
    assert champion is not None
    record, _ = load_record(champion, platform=house.platform)
    assert (record.run.pipeline, record.run.run_id, record.run.try_number) == ("small", ended.run_id, 1)
    assert record.run.trigger == "manual"
    assert record.reasons == RetrainDecision.from_dict(ended.result("decide")).reasons


def test_a_retry_is_the_same_run_and_another_try():
    dag_run = SimpleNamespace(dag_id="d", run_id="r", run_type="manual", triggering_user_name="ada")
    contexts: list[Any] = [{"dag_run": dag_run, "ti": SimpleNamespace(try_number=number)} for number in (1, 2)]
    first, second = map(pipeline_run, contexts)
    assert (first.try_number, second.try_number) == (1, 2)
    assert first.step_key("train", "d") == second.step_key("train", "d")
