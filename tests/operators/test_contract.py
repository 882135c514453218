"""What holds for every operator and sensor, the next one too."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_mlops import core, operators, sensors
from airflow_mlops.core.values import Value
from airflow_mlops.operators._base import StepOperator
from airflow_mlops.operators._notify import Notifying

CLASSES = [
    *(getattr(operators, name) for name in operators.__all__),
    *(getattr(sensors, name) for name in sensors.__all__),
]
VALUES = {
    name: it
    for module in pkgutil.walk_packages(core.__path__, "airflow_mlops.core.")
    for name, it in vars(importlib.import_module(module.name)).items()
    if isinstance(it, type) and issubclass(it, Value)
}
"""What steps give, by name."""

TYPED = {"poke_interval": 7.0}

every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def _own_parameters(cls: type[BaseOperator]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = {}
    for base in [cls, *(each for each in (Notifying, StepOperator) if issubclass(cls, each))]:
        parameters |= {
            name: each for name, each in inspect.signature(base.__init__).parameters.items() if name != "self"
        }
    return [parameter for parameter in parameters.values() if parameter.kind not in kinds]


def _arguments(cls: type[BaseOperator], template: str = "") -> dict[str, Any]:
    names = [parameter.name for parameter in _own_parameters(cls)]
    return {name: TYPED.get(name, template or f"the {name}") for name in names if name != "task_id"}


@every_class
def test_the_constructor_takes_keywords_only(cls: type[BaseOperator]):
    assert _own_parameters(cls)
    assert {parameter.kind for parameter in _own_parameters(cls)} == {inspect.Parameter.KEYWORD_ONLY}


@every_class
def test_arguments_are_assigned_unchanged(cls: type[BaseOperator]):
    arguments = _arguments(cls)
    operator = cls(task_id="t", **arguments)
    for name, value in arguments.items():
        assert getattr(operator, name) is value or getattr(operator, name) == TYPED[name], name


@every_class
def test_every_template_field_is_an_argument_and_an_attribute(cls: type[BaseOperator]):
    operator = cls(task_id="t", **_arguments(cls))
    assert cls.template_fields
    for name in cls.template_fields:
        assert name in _arguments(cls)
        assert hasattr(operator, name)


@every_class
def test_templates_render_in_every_template_field(cls: type[BaseOperator]):
    operator = cls(task_id="t", **_arguments(cls, template="{{ ds }}"))
    operator.render_template_fields({"ds": "2026-01-31"})
    assert {getattr(operator, name) for name in cls.template_fields} == {"2026-01-31"}


@every_class
def test_templates_render_inside_of_settings(cls: type[BaseOperator]):
    first = cls.template_fields[0]
    operator = cls(task_id="t", **_arguments(cls) | {first: {"path": "{{ ds }}.csv", "known": ["{{ ds }}"]}})
    operator.render_template_fields({"ds": "2026-01-31"})
    assert getattr(operator, first) == {"path": "2026-01-31.csv", "known": ["2026-01-31"]}


@every_class
def test_what_it_is_for_and_what_it_takes_is_written_down(cls: type[BaseOperator]):
    text = inspect.getdoc(cls)
    described = f"{text}\n{inspect.getdoc(StepOperator)}\n{inspect.getdoc(BaseOperator)}"
    for parameter in _own_parameters(cls):
        assert f":param {parameter.name}:" in described, parameter.name
    for name in cls.template_fields:
        if f":param {name}:" in text:
            assert "(templated)" in text.partition(f":param {name}:")[2].partition(":param")[0], name


@every_class
def test_an_operator_has_a_link_exactly_where_its_result_has_a_page(cls: type[BaseOperator]):
    fields: set[str] = set()
    if issubclass(cls, StepOperator):
        result = cls.call_step.__annotations__["return"].removesuffix(" | None")
        values = {VALUES[result]} if result in VALUES else set()
        assert len(values) == (result != "None")
        fields = {field.name for value in values for field in dataclasses.fields(value)}
        fields |= {"report_uri" for value in values if hasattr(value, "report_uri")}  # of a decision: its evidence's
    wanted = [*(["Report"] if "report_uri" in fields else []), *(["MLflow"] if fields & {"run_url", "url"} else [])]
    assert [link.name for link in cls.operator_extra_links] == wanted
