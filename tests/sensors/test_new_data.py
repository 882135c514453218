from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.sensors import NewDataSensor
from airflow_mlops.triggers.data import NewFilesTrigger, NewRowsTrigger


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))


def test_it_leaves_the_waiting_to_the_triggerer():
    sensor = NewDataSensor(task_id="wait", path="/inbox", watermark="w", poke_interval=5.0, timeout=600)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, NewFilesTrigger)
    where = {"path": "/inbox", "conn_id": None, "recursive": False}
    assert trigger.serialize()[1] == {**where, "watermark": "w", "poll_interval_s": 5.0}
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout == timedelta(seconds=600)


def test_its_watermark_is_named_by_the_dag_and_the_task():
    sensor = NewDataSensor(task_id="wait", path="/inbox/{{ ds }}")
    sensor.render_template_fields({"ds": "2026-01-31", "ti": _Ti})
    assert (sensor.path, sensor.watermark) == ("/inbox/2026-01-31", "the_dag.wait")


class _Ti:
    dag_id, task_id = "the_dag", "wait"


def test_what_arrived_is_noted_as_handled_once_the_task_has_it():
    watermark = get_watermark("w")
    watermark.announce({"/inbox/a.csv": "4-1"})
    assert watermark.handled() == {}
    sensor = NewDataSensor(task_id="wait", path="/inbox", watermark="w")
    event = {"files": ["/inbox/a.csv"], "n_files": 1}
    assert sensor.execute_complete({}, event) == event
    assert get_watermark("w").handled() == {"/inbox/a.csv": "4-1"}


def test_it_waits_for_the_rows_of_a_query_too():
    query = {"query": "SELECT * FROM rides", "timestamp": "at", "conn_id": "shop"}
    with pytest.raises(TaskDeferred) as deferred:
        NewDataSensor(task_id="wait", watermark="w", poke_interval=5.0, **query).execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, NewRowsTrigger)
    assert trigger.serialize()[1] == {**query, "watermark": "w", "poll_interval_s": 5.0}


@pytest.mark.parametrize(
    "settings", [{}, {"path": "/x", "query": "SELECT 1"}, {"query": "SELECT 1", "timestamp": "at"}]
)
def test_without_one_source_it_fails_at_once(settings: dict[str, str]):
    with pytest.raises(AirflowFailException, match="give either `path`, or `query` with `timestamp` and `conn_id`"):
        NewDataSensor(task_id="wait", watermark="w", **settings).execute({})


def test_a_mistake_fails_the_task_and_is_told_again_to_the_next_try():
    watermark = get_watermark("w")
    watermark.announce({"": "there is no such bucket"})
    sensor = NewDataSensor(task_id="wait", path="s3://nobody/", watermark="w")
    with pytest.raises(AirflowFailException, match="there is no such bucket"):
        sensor.execute_complete({}, {"problem": "there is no such bucket"})
    assert get_watermark("w").handled() == {}
