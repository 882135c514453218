"""The entry point as a plain process, as a container starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from airflow_mlops.adapters.process.child_process import run_child
from airflow_mlops.core.step_request import StepError, StepRequest
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.runner import main
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.conftest import REPOSITORY
from tests.steps.cases import run_named, small_frame
from tests.steps.conftest import make_bench

RUN = run_named("the run")


class Pod:
    """Starts the entry point with the files that a pod has."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.result = python, folder / "return.json"
        self.platform = folder / "platform.json"

    def __call__(self, *arguments: str) -> tuple[int, Any, str, str]:
        """Return the status, the result, standard output and standard error."""
        places = {
            "/run/secrets/mlops/platform.json": str(self.platform),
            "/airflow/xcom/return.json": str(self.result),
        }
        command = [self.python, "-m", "airflow_mlops.runner", *(places.get(each, each) for each in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        return done.returncode, json.loads(self.result.read_text()), done.stdout, done.stderr

    def ask(self, request: str) -> tuple[int, Any, str, str]:
        return self("--request", request, "--platform", str(self.platform), "--result", str(self.result))


@pytest.fixture
def pod(other_python: Path, tmp_path: Path) -> Pod:
    return Pod(other_python, tmp_path)


def _documented_pod(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the task of the page's DAG, whose provider is none that this project needs."""
    from airflow.sdk import DAG, BaseOperator

    class KubernetesPodOperator(BaseOperator):
        template_fields = ("arguments",)

        def __init__(self, *, arguments: list[str], cmds: list[str], task_id: str, **settings: Any) -> None:
            super().__init__(task_id=task_id)
            self.arguments, self.cmds = arguments, cmds

    anything = SimpleNamespace(V1Volume=dict, V1VolumeMount=dict, V1PersistentVolumeClaimVolumeSource=dict)
    for name, content in {
        "airflow.providers.cncf.kubernetes.operators.pod": {"KubernetesPodOperator": KubernetesPodOperator},
        "airflow.providers.cncf.kubernetes.secret": {"Secret": lambda *settings: settings},
        "kubernetes.client": {"models": anything},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    text = (REPOSITORY / "docs" / "howto" / "runners.md").read_text()
    (code,) = [block for block in re.findall(r"\{code-block\} python\n(.*?)```", text, re.DOTALL) if "cmds" in block]
    with DAG(dag_id="small", schedule=None):
        names: dict[str, Any] = {"split": BaseOperator(task_id="split")}
        exec(code, names)
    return names["train"]


@pytest.mark.airflow
def test_the_documented_pod_trains_and_leaves_what_the_next_task_reads(
    pod: Pod, tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    bench = make_bench(tmp_path, mlflow_database)
    bench.deliver(small_frame())
    platform, spec = bench.platform, bench.spec()
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=platform.storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=platform.storage)
    where = {"storage_root": str(platform.storage.root), "tracking_uri": platform.mlflow.tracking_uri}
    pod.platform.write_text(json.dumps(where))

    task = _documented_pod(monkeypatch)
    ti = SimpleNamespace(xcom_pull=lambda task_ids: {"split": split.to_dict()}[task_ids])
    task.render_template_fields({"ti": ti, "dag": task.dag, "run_id": RUN.run_id})
    assert task.cmds == ["python", "-m", "airflow_mlops.runner"]
    status, result, out, log = pod(*task.arguments)
    assert status == 0, log
    assert out == ""
    assert "INFO trained: model_uri=" in log
    model = TrainedModel.from_dict(result)
    found = train_model(split, spec.training, model_name="small", platform=platform, run=RUN)
    assert found == model


def _request(**changes: Any) -> str:
    return json.dumps(StepRequest.of("train", {}, RUN).to_dict() | changes)


@pytest.mark.parametrize(
    ("request_text", "platform", "error", "words"),
    [
        (_request(version="0.0.9"), "{}", "RunnerError", "asked for by airflow-mlops 0.0.9"),
        ("{'", "{}", "SpecError", "The request is not a JSON object. Nothing was run."),
        ("/no/such/file", "{}", "SpecError", "/no/such/file can't be read: No such file or directory."),
        (_request(), "Bearer s3cret", "SpecError", "The platform is not a JSON object. Nothing was run."),
    ],
)
def test_what_can_t_be_run_is_status_1_and_says_why(pod: Pod, request_text: str, platform: str, error: str, words: str):
    pod.platform.write_text(platform)
    status, result, _, log = pod.ask(request_text)
    told = StepError.from_dict(result)
    assert (status, told.type) == (1, error)
    assert words in told.message
    assert log.splitlines()[-1] == f"ERROR {error}: {told.message}"
    assert "s3cret" not in log


def test_a_request_may_be_a_file(pod: Pod, tmp_path: Path):
    pod.platform.write_text("{}")
    (tmp_path / "request.json").write_text(_request(version="0.0.9"))
    status, result, _, _ = pod.ask(str(tmp_path / "request.json"))
    assert (status, result["type"]) == (1, "RunnerError")


def test_what_comes_by_standard_input_must_be_json(other_python: Path):
    ended = run_child([str(other_python), "-m", "airflow_mlops.runner"], "{'", env=dict(os.environ))
    assert ended.status == 1
    told = StepError.from_dict(json.loads(ended.output))
    assert (told.type, told.message) == (
        "SpecError",
        "What came by standard input is not a JSON object. Nothing was run.",
    )


@pytest.mark.parametrize("argv", [["--request", "{}"], ["--platform", "p.json"], ["--nonsense"]])
def test_wrong_usage_is_status_2(argv: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m airflow_mlops.runner")
