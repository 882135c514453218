"""The declaration of the flows, as far as it can be told without Airflow."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_mlops.core.flow import MONITORING, SCORING, TRAINING
from airflow_mlops.core.step import GROUPS, STAGES, Step, steps_of
from airflow_mlops.specs import BatchScoringSpec, PipelineSpec
from tests.core.flow_cases import full_scoring, full_settings
from tools import flow_picture

REPOSITORY = Path(__file__).parents[2]
FLOWS = {"training": TRAINING, "monitoring": MONITORING, "scoring": SCORING}
SPECS = {
    "training": PipelineSpec.parse(full_settings()),
    "monitoring": PipelineSpec.parse(full_settings()),
    "scoring": BatchScoringSpec.parse(full_scoring()),
}
SURROUNDINGS = {"platform", "storage", "connections", "run"}
SET_FOR_A_RUN = {"data", "force", "promotion", "hyperparameters", "now"}

every_flow = pytest.mark.parametrize("name", FLOWS)
every_step = pytest.mark.parametrize(
    ("name", "step"),
    [pytest.param(name, step, id=f"{name}-{step.name}") for name, flow in FLOWS.items() for step in flow],
)


@every_flow
def test_a_spec_that_asks_for_everything_leaves_no_step_out(name: str):
    assert tuple(steps_of(FLOWS[name], SPECS[name])) == FLOWS[name]


def test_what_a_spec_does_not_ask_for_is_left_out():
    short = full_settings() | {
        "tuning": None,
        "serving_check": None,
        "conversion": None,
        "performance": None,
        "rollout": None,
    }
    short |= {"promotion": {}, "triggers": []}
    names = [step.name for step in steps_of(TRAINING, PipelineSpec.parse(short))]
    assert names == [
        *("snapshot", "validate", "split", "check_leakage", "check_drift", "decide"),
        *("train", "evaluate", "bless", "register", "promote"),
    ]


@every_flow
def test_a_step_takes_only_what_an_earlier_one_gives(name: str):
    given: set[str] = set()
    earlier: list[str] = []
    for step in FLOWS[name]:
        assert {*step.takes.values()} <= given, step.name
        assert {*step.after} <= {*earlier}, step.name
        assert {*step.anew} <= given, step.name
        assert step.name not in earlier
        assert step.gives not in given
        given.add(step.gives)
        earlier.append(step.name)


@every_step
def test_every_setting_is_a_part_of_the_spec(name: str, step: Step):
    for path in (*step.settings.values(), *step.in_airflow.values(), *([step.only_with] if step.only_with else [])):
        assert attrgetter(path)(SPECS[name]) is not None, path
    assert {*step.form.values()} <= SET_FOR_A_RUN
    assert {*step.verbatim} <= {*step.settings}


@every_step
def test_a_step_stands_in_the_room_of_its_stage_and_in_a_group_that_is_known(name: str, step: Step):
    assert step.stage in STAGES
    assert step.group in (GROUPS if name == "training" else [""])
    assert step.function.startswith(f"airflow_mlops.steps.{step.stage}.") or not step.function


@every_step
def test_the_function_takes_what_is_declared_and_needs_no_more(name: str, step: Step):
    if not step.function:
        return
    module, _, function = step.function.partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    declared = {*step.takes, *step.settings, *(argument for argument in step.form if argument != "hyperparameters")}
    assert declared - {"runner"} <= {*parameters}
    required = {each.name for each in parameters.values() if each.default is inspect.Parameter.empty}
    assert required - SURROUNDINGS - ({"window_end"} if step.name == "check_drift" else set()) <= declared


def test_the_run_is_over_where_the_result_says_so_and_a_failure_is_no_end_of_that_kind():
    steps = {step.name: step for step in TRAINING}
    assert steps["decide"].is_over(SimpleNamespace(should_retrain=False))
    assert not steps["decide"].is_over(SimpleNamespace(should_retrain=True))
    assert steps["bless"].is_over(SimpleNamespace(is_over=True))
    assert not steps["validate"].is_over(SimpleNamespace(verdict="HALT"))


def test_the_declaration_loads_no_library():
    code = "import sys, airflow_mlops.core.flow; print(sorted({'numpy', 'pydantic', 'airflow'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("page", flow_picture.PAGES)
def test_the_picture_in_the_docs_is_the_declaration(page: str):
    text = (REPOSITORY / page).read_text()
    assert flow_picture.draw() in text, "run: make picture"
    assert flow_picture.redraw(text) == text


def test_a_page_without_the_picture_is_refused():
    with pytest.raises(ValueError, match="no block of text"):
        flow_picture.redraw("# A page\n")
