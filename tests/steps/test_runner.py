"""The same steps in the process of another environment, which has no Airflow and other libraries."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.step_request import StepRequest
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import RunnerError, SpecError, TrainingError, UnavailableError
from airflow_mlops.specs import CommandRunner, InProcessRunner, PythonRunner
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.runner import STEPS, answer_request, open_platform, run_step
from airflow_mlops.steps.splitting.split import split_dataset
from tests.adapters.process.test_child_process import assert_all_end, wait_until
from tests.conftest import REPOSITORY, requirements_of
from tests.steps import trainers
from tests.steps.cases import Bench, run_named, runs_by_status

RUN = run_named("the run")
HERE = InProcessRunner()
GOOD_PLATFORM = {"storage_root": "/s", "tracking_uri": "http://user:s3cret@mlflow"}


class Asking:
    """Asks for steps, here and elsewhere."""

    def __init__(self, bench: Bench, python: Path) -> None:
        self.bench, self.there = bench, PythonRunner(python=str(python))
        spec = bench.spec()
        snapshot = snapshot_dataset(spec.data, dataset="small", storage=bench.platform.storage)
        self.split = split_dataset(snapshot, spec.data, spec.split, storage=bench.platform.storage)

    def train(self, runner: Any, run: Any = RUN, **training: Any) -> TrainedModel:
        spec = self.bench.spec(training=training).training
        return self.step("train", TrainedModel, runner, run, split=self.split, training=spec, model_name="small")

    def train_by(self, runner: Any, function: Any, **params: Any) -> TrainedModel:
        return self.train(runner, estimator=None, function=function, params=params)

    def evaluate(self, runner: Any, model: TrainedModel, run: Any = RUN) -> EvaluationReport:
        gate = self.bench.spec().gate
        return self.step("evaluate", EvaluationReport, runner, run, model=model, split=self.split, gate=gate)

    def step(self, step: str, returns: Any, runner: Any, run: Any, **arguments: Any) -> Any:
        return run_step(step, returns, runner=runner, platform=self.bench.platform, run=run, **arguments)


@pytest.fixture
def ask(delivered: Bench, other_python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asking:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "clashing.py").write_text("VERSION = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "ours"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'ours'}{os.pathsep}{REPOSITORY}")
    return Asking(delivered, other_python)


def test_a_step_gives_the_same_here_by_another_python_and_by_a_command(ask: Asking):
    there = ask.train(ask.there)
    assert ask.train(HERE) == there
    assert runs_by_status(ask.bench.platform) == {"FINISHED": 1}
    command = ("/bin/sh", "-c", 'exec "$0" -m airflow_mlops.runner', ask.there.python)
    report = ask.evaluate(CommandRunner(command=command), there)
    assert ask.evaluate(HERE, there) == report
    again = ask.train(HERE, run_named("another run"))
    assert (again.fingerprint, again.features, again.params) == (there.fingerprint, there.features, there.params)
    assert again.run_id != there.run_id
    assert ask.evaluate(HERE, again, run_named("another run")).comparisons == report.comparisons


def test_libraries_that_clash_with_ours_are_used_there(ask: Asking, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with pytest.raises(TrainingError, match="clashing>=2 is required"):
        ask.train_by(HERE, trainers.needs_the_newer_library)
    assert ask.train_by(ask.there, trainers.needs_the_newer_library).features == ("x",)
    assert "trained with version 2" in caplog.messages
    assert any(message.startswith("INFO trained: model_uri=") for message in caplog.messages)


def test_steps_and_server_need_no_airflow_and_the_libraries_that_the_runtime_brings(other_python: Path):
    code = """
import importlib, json, sys
from importlib.metadata import packages_distributions
try:
    import airflow
except ImportError as error:
    assert str(error) == "there is no Airflow in this environment"
import airflow_mlops.runner
import airflow_mlops.server.server
from airflow_mlops.steps.runner import STEPS
for function in STEPS.values():
    importlib.import_module(function.partition(":")[0])
imported, known = {name.partition(".")[0] for name in sys.modules}, packages_distributions()
print(json.dumps([name for each in imported for name in known.get(each, [])]))
"""
    done = subprocess.run([other_python, "-P", "-c", code], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    imported = {re.sub(r"[-_.]+", "-", name).lower() for name in json.loads(done.stdout)}
    ours = _distributions(requirements_of("setup.cfg"))
    brought_by_mlflow = {"pyyaml"}
    assert (imported & ours) - brought_by_mlflow == _distributions(requirements_of("runtime/setup.cfg"))


def _distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[;]", line, maxsplit=1)[0] for line in requirements}


def test_an_error_elsewhere_is_the_same_error_here(ask: Asking):
    with pytest.raises(TrainingError) as caught:
        ask.train_by(ask.there, trainers.raises)
    with pytest.raises(TrainingError) as expected:
        ask.train_by(HERE, trainers.raises)
    assert str(caught.value) == str(expected.value)
    assert runs_by_status(ask.bench.platform) == {"FAILED": 2}


def test_a_child_that_is_killed_is_an_outage_and_the_retry_keeps_its_run_as_killed(ask: Asking):
    killed = ask.there.model_copy(update={"env": {trainers.KILL_IN_TRAINING: "1"}})
    with pytest.raises(UnavailableError) as caught:
        ask.train_by(killed, trainers.kills_itself_if_asked)
    assert "The process of step 'train' was killed by SIGKILL, often for lack of memory." in str(caught.value)
    assert runs_by_status(ask.bench.platform) == {"RUNNING": 1}
    ask.train_by(HERE, trainers.kills_itself_if_asked)
    assert runs_by_status(ask.bench.platform) == {"KILLED": 1, "FINISHED": 1}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "The process of step 'train' ended with status 3 and without a result."),
        ("echo no result; echo why >&2", "ended with status 0 and without a result. .* Its last lines: 'why'."),
        ("echo 3", "ended with status 0 and without a result."),
        ("exit 137", "was killed by SIGKILL, often for lack of memory."),
    ],
)
def test_a_child_that_ends_without_a_result_is_its_own_error(ask: Asking, script: str, words: str):
    with pytest.raises((RunnerError, UnavailableError), match=words):
        ask.train(CommandRunner(command=("/bin/sh", "-c", script)))


def test_an_environment_without_this_package_is_told_from_a_step_that_fails(ask: Asking, tmp_path: Path):
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", empty], check=True, timeout=60)
    with pytest.raises(RunnerError) as caught:
        ask.train(PythonRunner(python=str(empty / "bin" / "python")))
    assert "ended with status 1 and without a result" in str(caught.value)
    assert "No module named 'airflow_mlops'" in str(caught.value)


def test_another_version_of_this_package_is_refused_before_anything_is_trained(ask: Asking, tmp_path: Path):
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "sitecustomize.py").write_text(
        "import airflow_mlops._version\nairflow_mlops._version.__version__ = '0.0.9'\n"
    )
    older = ask.there.model_copy(update={"env": {"PYTHONPATH": str(tmp_path / "older")}})
    with pytest.raises(RunnerError) as caught:
        ask.train(older)
    assert f"{ask.there.python} has 0.0.9" in str(caught.value)
    assert runs_by_status(ask.bench.platform) == {}


def test_no_secret_is_in_a_command_line_the_environment_or_a_message(
    ask: Asking, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """A command that shows all that others on the machine could see of it."""
    seen = tmp_path / "seen"
    command = (
        "/bin/sh",
        "-c",
        f"cat /proc/$$/cmdline /proc/$$/environ > {seen}; read line; echo $line > {seen}.in; exit 7",
    )
    headers = {"Authorization": "Bearer s3cret"}
    journals = {"root": "s3://bucket/mlops", "access": {"access_key": "a", "secret_key": "s3cret"}}
    there = {"storage_root": str(tmp_path), "tracking_uri": "http://m", "headers": headers, "journals": journals}
    platform = open_platform(there)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RunnerError) as caught:
        run_step("train", TrainedModel, runner=CommandRunner(command=command), platform=platform, run=RUN)
    told = json.loads(Path(f"{seen}.in").read_text())["platform"]
    assert told["headers"] == headers
    assert open_platform(told).storage.journals.describe() == platform.storage.journals.describe()
    assert "s3cret" not in seen.read_text() + str(caught.value) + caplog.text


def test_a_child_does_not_inherit_what_is_airflow_s(ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgres://me:s3cret@db/shop")
    command = ("/bin/sh", "-c", f"env > {tmp_path}/env")
    with pytest.raises(RunnerError):
        ask.train(CommandRunner(command=command))
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("AIRFLOW", "PYTHONPATH"))]


def test_a_step_ends_with_all_that_it_started_when_whoever_asked_is_gone(ask: Asking, tmp_path: Path):
    note, platform = tmp_path / "pids", ask.bench.platform
    spec = ask.bench.spec(training={"estimator": None, "function": trainers.never_ends, "params": {"note": str(note)}})
    request = StepRequest.of("train", {"split": ask.split, "training": spec.training, "model_name": "small"}, RUN)
    where = {"storage_root": str(platform.storage.root), "tracking_uri": platform.mlflow.tracking_uri}
    told, by_us = os.pipe()
    command = [ask.there.python, "-P", "-m", "airflow_mlops.runner"]
    with os.fdopen(by_us, "w") as asking:
        step = subprocess.Popen(command, stdin=told, start_new_session=True)
        os.close(told)
        asking.write(json.dumps({"request": request.to_dict(), "platform": where}) + "\n")
        asking.flush()
        wait_until(note.exists)
    assert step.wait(60) == -signal.SIGKILL
    assert_all_end(note)


@pytest.mark.parametrize("step", STEPS)
def test_a_request_that_does_not_fit_the_step_is_refused(step: str, delivered: Bench):
    request = StepRequest.of(step, {"speed": 3}, RUN)
    with pytest.raises(SpecError, match=f"The request does not fit step '{step}': "):
        answer_request(request, delivered.platform)


def test_a_step_that_is_not_known_is_refused_with_those_that_are(delivered: Bench):
    with pytest.raises(SpecError, match=r"no step 'trian' that runs elsewhere\. Did you mean 'train'\?"):
        answer_request(StepRequest.of("trian", {}, RUN), delivered.platform)
    with pytest.raises(SpecError, match="no step 'trian'"):
        run_step("trian", TrainedModel, runner=HERE, platform=delivered.platform, run=RUN)


def test_arguments_become_what_the_step_declares(ask: Asking, monkeypatch: pytest.MonkeyPatch):
    seen: dict[str, Any] = {}

    def train_model(split: DatasetSplit, training: TrainingSpec, *, model_name: str, platform: Any, run: Any) -> Any:
        seen.update(split=split, training=training, model_name=model_name)

    from airflow_mlops.steps.training import train

    training = ask.bench.spec().training
    monkeypatch.setattr(train, "train_model", train_model)
    arguments = {"split": ask.split, "training": training, "model_name": "m"}
    request = StepRequest.of("train", arguments, RUN)
    answer_request(StepRequest.from_dict(json.loads(json.dumps(request.to_dict()))), ask.bench.platform)
    assert seen == arguments


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storage": "/s"}, "unknown setting 'storage'. Did you mean 'storage_root'?"),
        ({"storage_root": None}, "The platform's storage_root is missing or of the wrong type."),
        ({"tracking_uri": ""}, "The platform's tracking_uri is missing or of the wrong type."),
        ({"headers": "Bearer s3cret"}, "The platform's headers is missing or of the wrong type."),
        ({"trusted_types": "a.B"}, "The platform's trusted_types is missing or of the wrong type."),
        ({"journals": {"root": "s3://b", "access": {"secret": "s3cret"}}}, "journals have settings that are not known"),
        ({"storage_root": "relative"}, "storage_root 'relative' is relative"),
    ],
)
def test_a_platform_that_can_t_be_used_is_refused_without_its_secrets(change: dict[str, Any], words: str):
    with pytest.raises(SpecError) as caught:
        open_platform(GOOD_PLATFORM | change)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
