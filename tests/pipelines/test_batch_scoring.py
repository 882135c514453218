from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, CronTriggerTimetable

from airflow_mlops import BatchScoring
from airflow_mlops.errors import SpecError

RULES = {
    "expectations": [{"type": "expect_column_values_to_match_regex", "kwargs": {"column": "c", "regex": "x{{2}}"}}]
}


def _scoring(**changes: Any) -> BatchScoring:
    return BatchScoring(**{"model_name": "small", "key": "id", "data": {"path": "/inbox"}, **changes})


def test_without_a_schedule_only_a_person_starts_it():
    dag = _scoring().dag()
    assert (dag.dag_id, dag.schedule) == ("small_batch", None)
    assert [task.task_id for task in dag.topological_sort()] == ["snapshot", "predict"]
    assert {(task.retries, task.mlflow_conn_id) for task in dag.tasks} == {(2, "mlflow_default")}


def test_it_is_scheduled_by_whatever_airflow_takes_and_every_setting_can_be_another():
    asset = Asset("small_champion")
    assert _scoring().dag(schedule=[asset]).schedule == [asset]
    nightly = _scoring().dag(schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"), dag_id="nightly", tags=["a"])
    assert (nightly.dag_id, nightly.tags, nightly.timetable.expression) == ("nightly", {"a"}, "0 3 * * *")


def test_a_validation_stands_before_the_scoring_and_its_rules_are_no_templates():
    dag = _scoring(validation=RULES).dag()
    assert [task.task_id for task in dag.topological_sort()] == ["snapshot", "validate", "predict"]
    validate = dag.get_task("validate")
    rendered = validate.render_template(validate.validation, {}, dag.get_template_env())
    assert rendered["expectations"][0]["kwargs"]["regex"] == "x{{2}}"


def test_it_is_read_from_yaml_and_a_mistake_is_told_with_its_path(tmp_path: Path):
    file = tmp_path / "scoring.yaml"
    file.write_text("model_name: small\nkey: id\ndata: {path: /inbox}\n")
    assert BatchScoring.from_yaml(file) == _scoring()
    file.write_text("model_name: small\nkeys: id\ndata: {path: /inbox}\n")
    with pytest.raises(SpecError, match=r"scoring\.yaml: BatchScoring: .*\n  key: is required"):
        BatchScoring.from_yaml(file)
