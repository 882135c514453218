"""An environment made anew from the lock of airflow-mlops-runtime, without Airflow: it trains, and it serves."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlops import __version__
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.specs import PythonRunner
from airflow_mlops.steps import Platform
from airflow_mlops.steps.registry.models import load_model
from include.demo.services import free_port
from tests.conftest import REPOSITORY
from tests.processes import wait_until
from tests.server.cases import body_of, request
from tests.steps.cases import Bench, small_frame

pytestmark = pytest.mark.standalone

UV = Path(sys.executable).with_name("uv")
FOREIGN = ("AIRFLOW", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def _environment() -> dict[str, str]:
    """Return this process's environment without what leads to this repository."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def _done(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with what the lock names, and with this package."""
    folder = tmp_path_factory.mktemp("runtime")
    source, environment = folder / "source", folder / "venv"
    source.mkdir()
    # A copy: what a build leaves behind would be found by other tests.
    for name in ("airflow_mlops", "runtime"):
        leave = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        shutil.copytree(REPOSITORY / name, source / name, symlinks=True, ignore=leave)
    shutil.copy(REPOSITORY / "LICENSE", source)
    install = (UV, "pip", "install", "--python", environment / "bin" / "python")
    lock = source / "runtime" / "requirements.lock"
    for command in (
        (UV, "venv", "--python", sys.executable, environment),
        (*install, "--require-hashes", "-r", lock),
        (*install, "--no-deps", source / "runtime"),
        (UV, "pip", "check", "--python", environment / "bin" / "python"),
    ):
        done = _done(*command, cwd=folder)
        assert done.returncode == 0, done.stderr[-3000:]
    return environment / "bin"


@contextlib.contextmanager
def _running(command: list[str | Path], log: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=output, env=_environment(), start_new_session=True
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return urllib.request.urlopen(url, timeout=5).status == 200
    return False


@pytest.fixture
def bench(tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A platform with an MLflow server, which is what those without a database talk to."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    (tmp_path / "inbox").mkdir()
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    port = str(free_port())
    command: list[str | Path] = [sys.executable, "-m", "mlflow", "server", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--artifacts-destination", tmp_path / "artifacts"]
    uri = f"http://127.0.0.1:{port}"
    with _running(command, tmp_path / "mlflow.log", tmp_path):
        wait_until(lambda: _answers(f"{uri}/health"))
        yield Bench(Platform(Storage(str(tmp_path / "storage")), Mlflow(uri)), tmp_path / "inbox")


def test_a_model_is_trained_compared_and_served_where_airflow_can_not_be_imported(
    runtime: Path, bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    code = "import airflow_mlops; print(airflow_mlops.__version__, airflow_mlops.__file__); import airflow"
    looked = _done(runtime / "python", "-c", code, cwd=tmp_path)
    version, _, file = looked.stdout.strip().partition(" ")
    assert (version, Path(file).is_relative_to(runtime.parent)) == (__version__, True)
    assert looked.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'airflow'"

    bench.deliver(small_frame())
    runner = PythonRunner(python=str(runtime / "python"))
    result = bench.run("first", bench.spec(runner=runner.model_dump()))
    elsewhere = [message for message in caplog.messages if message.startswith("step run elsewhere:")]
    assert elsewhere == [f"step run elsewhere: step={step} runner=python status=0" for step in ("train", "evaluate")]
    assert result.promotion is not None
    assert result.promotion.to_version == 1

    asked = small_frame(5, seed=3)[["x"]]
    log = tmp_path / "serve.log"
    serve: list[str | Path] = [runtime / "airflow-mlops", "serve", "small", "--port", "0"]
    serve += ["--storage-root", bench.platform.storage.root, "--tracking-uri", bench.platform.mlflow.tracking_uri]
    with _running(serve, log, tmp_path) as server:
        wait_until(lambda: b"serving: model_name=small" in log.read_bytes() or server.poll() is not None)
        found = re.search(r"url=(http\S+)", log.read_text())
        assert found is not None, log.read_text()
        wait_until(lambda: request(found[1], path="/ping").status == 200)
        answer = request(found[1], body_of(asked))
        assert answer.headers["x-mlops-model-version"] == "1"
    assert result.model is not None
    here = load_model("small", result.model.model_uri, result.model.model_digest, platform=bench.platform)
    assert answer.predictions == pytest.approx(list(here.predict(asked)))


def test_what_needs_the_whole_package_says_so(runtime: Path, tmp_path: Path):
    (tmp_path / "spec.yaml").write_text("model_name: small\n")
    done = _done(runtime / "airflow-mlops", "run", "spec.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"This command needs '\w+', which airflow-mlops-runtime does not bring. Nothing was changed. Install the whole "
        r"package in an environment of its own: pip install airflow-mlops\n",
        done.stderr,
    )


def test_an_extra_is_named_by_what_is_installed(runtime: Path, tmp_path: Path):
    done = _done(runtime / "airflow-mlops", "serve", "small", "--journal-root", "s3://bucket/journals", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"MissingExtraError: [mlops] journal_root = s3://bucket/journals needs 'boto3', which {runtime}/python does "
        f"not have. Nothing was changed. Install it there: pip install 'airflow-mlops-runtime[amazon]'\n"
    )
