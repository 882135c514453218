"""The server as the command starts it, a process of its own, with an MLflow that dies."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.steps import Platform
from include.demo.services import free_port
from tests.conftest import REPOSITORY
from tests.processes import wait_until
from tests.server.cases import FRAME, Answer, Stage, add_version, body_of, promote, request
from tests.server.models import TRUSTED, Patient

pytestmark = pytest.mark.standalone

FOREVER = b'{"dataframe_split": {"columns": ["x"], "data": [[Infinity]]}}'
TOKEN = "s3cr3t-token"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@contextlib.contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "AIRFLOW__MLOPS__TRUSTED_TYPES": ",".join(TRUSTED)}
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def answers(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        return urllib.request.urlopen(url, timeout=5).status == 200
    return False


def test_the_command_serves_while_mlflow_is_dead_and_one_request_hangs_and_ends_well_and_logs_no_secret(
    tmp_path, mlflow_database, monkeypatch
):
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    (tmp_path / "token").write_text(TOKEN)
    port, root = free_port(), tmp_path / "storage"
    tracking_uri = f"http://127.0.0.1:{port}"
    journals = str(tmp_path / "journals of ours")
    platform = Platform(Storage(str(root), Storage(journals)), Mlflow(tracking_uri), TRUSTED)
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    mlflow_command = ["mlflow", "server", "--port", str(port), "--workers", "1"]
    mlflow_command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    mlflow_command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    log = tmp_path / "serve.log"
    serve = ["airflow_mlops.cli", "serve", "served", "--port", "0", "--poll-s", "0.2", "--timeout-s", "2"]
    serve += ["--storage-root", str(root), "--journal-root", journals]
    serve += ["--tracking-uri", tracking_uri, "--token-file", str(tmp_path / "token")]
    with process(mlflow_command, tmp_path / "mlflow.log") as mlflow:
        wait_until(lambda: answers(f"{tracking_uri}/health"))
        promote(platform, add_version(platform, "served"), None)
        patient = add_version(platform, "served", Patient())
        with process(serve, log) as server:
            wait_until(lambda: b"serving: model_name=served" in log.read_bytes())
            found = re.search(r"url=(http\S+)", log.read_text())
            assert found is not None
            url = found[1]
            assert request(url, body_of(FRAME), headers=RIGHT).predictions == [1.0] * 3
            promote(platform, patient, 1)
            wait_until(lambda: request(url, body_of(FRAME), headers=RIGHT).predictions == [0.0, 0.01, 0.02])

            os.killpg(mlflow.pid, signal.SIGKILL)
            wait_until(lambda: b"degraded" in request(url, path="/health").body)
            health = request(url, path="/health", headers=RIGHT)
            assert health.status == 200
            assert f"MLflow at {tracking_uri} does not answer".encode() in health.body
            assert b"mlops_problems 1.0" in request(url, path="/metrics", headers=RIGHT).body
            assert request(url, body_of(FRAME), headers=RIGHT).predictions == [0.0, 0.01, 0.02]
            assert request(url, body_of(FRAME)).status == 401

            assert request(url, FOREVER, headers=RIGHT).status == 503
            assert request(url, body_of(FRAME), headers=RIGHT).predictions == [0.0, 0.01, 0.02]

            last: list[Answer] = []
            slow = body_of(pd.DataFrame({"x": [0.8]}))
            caller = threading.Thread(target=lambda: last.append(request(url, slow, headers=RIGHT)))
            caller.start()
            wait_until(lambda: is_busy(url))
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
            caller.join()
    assert [answer.predictions for answer in last] == [[0.8]]
    logged = Stage(platform).logged()
    assert set(logged.query("mlops_model_version == 1")["mlops_prediction"]) == {1.0}
    assert logged.query("x == 0.8")["mlops_prediction"].tolist() == [0.8]
    assert TOKEN not in log.read_text()
    assert "log_written=True" in log.read_text()


def is_busy(url: str) -> bool:
    return b"mlops_requests_under_way 2.0" in request(url, path="/metrics", headers=RIGHT).body
