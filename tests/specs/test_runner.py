from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import CommandRunner, InProcessRunner, PythonRunner
from airflow_mlops.specs.runner import parse_runner


@pytest.mark.parametrize("nothing", [None, {}])
def test_without_a_runner_a_step_runs_in_the_task_s_process(nothing):
    assert parse_runner(nothing) == InProcessRunner()


@pytest.mark.parametrize(
    ("settings", "runner"),
    [
        ({"type": "in_process"}, InProcessRunner()),
        ({"type": "python", "python": "/v/bin/python"}, PythonRunner(python="/v/bin/python")),
        ({"type": "command", "command": ["docker", "run"]}, CommandRunner(command=("docker", "run"))),
    ],
)
def test_settings_and_specs_give_the_same_runner(settings, runner):
    assert parse_runner(settings) == runner
    assert parse_runner(runner) == runner
    assert parse_runner(runner.model_dump(mode="json")) == runner


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"python": "/v/bin/python"}, "runner: say its `type`. Known: command, in_process, python."),
        ({"type": "python", "python": "python3"}, "runner.python.python: String should match"),
        ({"type": "python", "pyhton": "/v/bin/python"}, "runner.python.pyhton: unknown key. Did you mean 'python'?"),
        ({"type": "command", "command": []}, "runner.command.command: "),
        ({"type": "command", "command": [""]}, "runner.command.command.0: "),
        ({"type": "docker"}, "runner: there is no type 'docker'. Known: command, "),
    ],
)
def test_a_setting_that_can_t_be_used_is_named_by_its_path(settings, words):
    with pytest.raises(SpecError) as caught:
        parse_runner(settings)
    assert words in str(caught.value)
