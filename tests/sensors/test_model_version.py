from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_mlops.sensors import ModelVersionSensor
from airflow_mlops.triggers.model import ModelVersionTrigger


def test_it_leaves_the_waiting_to_the_triggerer():
    sensor = ModelVersionSensor(
        task_id="wait", model_name="small", other_than="{{ 3 }}", at_least="", poke_interval=5.0, timeout=600
    )
    sensor.render_template_fields({})
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert isinstance(deferred.value.trigger, ModelVersionTrigger)
    assert deferred.value.trigger.serialize()[1] == {
        "model_name": "small",
        "other_than": 3,
        "at_least": None,
        "poll_interval_s": 5.0,
    }
    assert deferred.value.timeout == timedelta(seconds=600)
    assert getattr(sensor, deferred.value.method_name)({}, 4) == 4


def test_a_version_that_is_no_number_fails_for_good():
    sensor = ModelVersionSensor(task_id="wait", model_name="small", at_least="two")
    with pytest.raises(AirflowFailException, match="at_least 'two' is no version number"):
        sensor.execute({})
