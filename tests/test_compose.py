"""The compose file, as far as it can be read without an engine to run it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import yaml

from airflow_mlops.cli import _parser
from airflow_mlops.cli.serving import server_spec
from include.demo.services import REPOSITORY, free_port
from tests.processes import wait_until


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())


def test_everything_that_is_published_is_published_on_localhost(compose):
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_make_secrets_writes_every_secret_once(compose, tmp_path):
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    subprocess.run(["make", "secrets"], cwd=tmp_path, check=True, capture_output=True)
    named = {secret["file"] for secret in compose["secrets"].values()}
    assert {f".secrets/{name}" for name in os.listdir(tmp_path / ".secrets")} >= named
    before = {file.name: file.read_text() for file in (tmp_path / ".secrets").iterdir()}
    assert all(before.values())
    subprocess.run(["make", "secrets"], cwd=tmp_path, check=True, capture_output=True)
    assert {file.name: file.read_text() for file in (tmp_path / ".secrets").iterdir()} == before
    assert (tmp_path / ".secrets").stat().st_mode & 0o077 == 0


def test_every_service_uses_only_what_the_file_declares(compose):
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose["volumes"])
        assert set(service.get("depends_on", [])) <= set(compose["services"])


def test_no_secret_stands_in_the_file(compose):
    settings = [service.get("environment", {}) for service in compose["services"].values()]
    names = {
        name for environment in settings for name in environment if "KEY" in name or "SECRET" in name or "PASS" in name
    }
    assert names
    assert [name for name in names if not name.endswith(("_CMD", "_FILE"))] == []


def test_the_model_server_is_healthy_before_there_is_a_champion(compose, tmp_path, mlflow_database):
    serve, port = compose["services"]["serve"], str(free_port())
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    (tmp_path / "serve_token").write_text("of the tests, long enough")
    here = {
        "${MLOPS_SERVE_MODEL:-co2}": "co2",
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--token-file=/run/secrets/serve_token": f"--token-file={tmp_path}/serve_token",
        "--storage-root=/var/lib/mlops": f"--storage-root={tmp_path}/storage",
        "--tracking-uri=http://mlflow:5000": f"--tracking-uri=sqlite:///{tmp_path}/mlflow.db",
    }
    _, *arguments = [here.get(word, word) for word in serve["command"]]
    assert set(here.values()) <= set(arguments), "the service is started otherwise by now"
    how, _, *check = serve["healthcheck"]["test"]
    assert (how, "5001" in check[-1]) == ("CMD", True)
    check[-1] = check[-1].replace("5001", port)

    def is_healthy() -> bool:
        return subprocess.run([sys.executable, *check], capture_output=True, timeout=30).returncode == 0

    assert not is_healthy(), "nothing answers yet"
    environment = os.environ | serve["environment"] | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "airflow_mlops.cli", *arguments, f"--port={port}"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: server.poll() is not None or is_listening(int(port)))
            assert server.poll() is None
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping")
            assert is_healthy()
        finally:
            server.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_model_server_may_do_little_and_wants_a_token(compose):
    serve = compose["services"]["serve"]
    assert serve["user"] != "0"
    assert serve["read_only"] is True
    assert serve["cap_drop"] == ["ALL"]
    assert serve["healthcheck"]["test"]
    arguments = _parser().parse_args([*serve["command"][1:2], "co2", *serve["command"][3:]])
    spec = server_spec(arguments)
    assert spec.token_file == "/run/secrets/serve_token"
    assert not spec.insecure
    grace_s = int(serve["stop_grace_period"].removesuffix("s"))
    assert grace_s > spec.read_timeout_s + spec.timeout_s
