"""The compose file, as far as it can be read without an engine to run it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import yaml

from airflow_mlops.cli import _parser
from airflow_mlops.cli.server import server_spec
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


def test_the_image_of_the_model_server_is_made_from_files_that_are_there_and_knows_no_airflow(compose):
    build = compose["services"]["serve"]["build"]
    made = (REPOSITORY / build["context"] / build["dockerfile"]).read_text()
    copied = re.findall(r"^COPY (.+) \S+$", made, re.MULTILINE)
    assert copied
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
    locks = re.findall(r"--require-hashes -r (\S+)", made)
    assert locks == ["runtime/requirements.lock"]
    ours = (REPOSITORY / "Dockerfile").read_text()
    assert re.findall(r"uv==\S+", made) == re.findall(r"uv==\S+", ours)
    assert re.findall(r"--uid \d+", made) == re.findall(r"--uid \d+", ours)


@pytest.mark.standalone
def test_the_model_server_is_healthy_before_there_is_a_champion(compose, tmp_path):
    serve = compose["services"]["serve"]
    port = str(free_port())
    (tmp_path / "token").write_text("s3cr3t-token")
    here = {
        "${MLOPS_SERVE_MODEL:-co2}": "co2",
        "/run/secrets/serve_token": str(tmp_path / "token"),
        "/var/lib/mlops": str(tmp_path / "storage"),
        "http://mlflow:5000": f"sqlite:///{tmp_path}/mlflow.db",
        "localhost:5001": f"127.0.0.1:{port}",
    }
    command = _bent([*serve["command"], f"--port={port}"], here)
    check = _bent(serve["healthcheck"]["test"], here)
    with (
        (tmp_path / "serve.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "airflow_mlops.cli", *command[1:]],
            cwd=tmp_path,
            env=os.environ | serve["environment"] | {"PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=log,
        ) as server,
    ):
        try:
            wait_until(lambda: _succeeds(check) or server.poll() is not None)
            assert server.poll() is None, (tmp_path / "serve.log").read_text()
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping")
        finally:
            server.terminate()
    assert server.returncode == 0
    assert not _succeeds(check), "nothing listens any more"


def _bent(words: list[str], here: dict[str, str]) -> list[str]:
    """Return a command of the container with the places of this test."""
    for there, place in here.items():
        words = [word.replace(there, place) for word in words]
    return words


def _succeeds(check: list[str]) -> bool:
    kind, program, *arguments = check
    assert (kind, program) == ("CMD", "python")
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode == 0
