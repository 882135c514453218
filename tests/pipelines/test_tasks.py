"""The tasks that a flow becomes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_mlops import BatchScoring, ContinuousTraining, assets, operators
from airflow_mlops.core.flow import MONITORING, SCORING, TRAINING
from airflow_mlops.core.step import Step, steps_of
from airflow_mlops.operators._base import StepOperator
from airflow_mlops.operators._notify import Notifying
from tests.core.flow_cases import full_scoring, full_settings

pytestmark = pytest.mark.airflow


def _parameters(operator: type[BaseOperator]) -> set[str]:
    classes = [each for each in operator.__mro__ if "__init__" in vars(each)]
    return {name for each in classes for name in inspect.signature(each.__init__).parameters}


@pytest.mark.parametrize("step", [*TRAINING, *MONITORING, *SCORING], ids=lambda step: step.name)
def test_the_operator_takes_what_is_declared(step: Step):
    operator = getattr(operators, step.operator)
    assert issubclass(operator, StepOperator)
    declared = {*step.takes, *step.settings, *step.in_airflow, *step.constants, *step.form} - {"now"}
    assert declared <= _parameters(operator)
    assert issubclass(operator, Notifying) == ("notifications" in step.in_airflow)
    assert not step.announces or callable(getattr(assets, step.announces))


def _dags() -> dict[str, Any]:
    pipeline = ContinuousTraining.parse(full_settings())
    return {
        "training": (TRAINING, pipeline, pipeline.dag()),
        "monitoring": (MONITORING, pipeline, pipeline.monitoring_dag()),
        "scoring": (SCORING, scoring := BatchScoring.parse(full_scoring()), scoring.dag()),
    }


@pytest.mark.parametrize("name", ["training", "monitoring", "scoring"])
def test_a_dag_has_a_task_for_each_step_after_those_that_it_takes_from(name: str):
    flow, spec, dag = _dags()[name]
    steps = steps_of(flow, spec)
    assert {task.task_id for task in dag.tasks} - {"checked"} == {step.name for step in steps}
    givers: dict[str, str] = {}
    for step in steps:
        task = dag.get_task(step.name)
        assert type(task) is getattr(operators, step.operator)
        wanted = {givers[taken] for taken in step.takes.values()} | {*step.after}
        assert task.upstream_task_ids == wanted
        givers |= {step.gives: step.name} | dict.fromkeys(step.anew, step.name)


def test_the_dag_s_documentation_says_what_each_task_does_and_how_it_may_end_the_run():
    text = ContinuousTraining.parse(full_settings() | {"conversion": None}).dag().doc_md or ""
    assert "| decides whether to train; the ledger keeps the answer | nothing new: the rest is skipped |" in text
    assert "| `validate` | checks them; sets bad rows aside | HALT: the run fails |" in text
    assert "`approve`" in text
    assert "`export`" not in text
