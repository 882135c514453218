"""The demo, as a newcomer starts it: the main job on real data, in a real Airflow with a real MLflow."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from include.demo.services import HOST, REPOSITORY, free_port

CHAPTERS = ["Cold start", "New data", "Nothing new", "A broken batch", "A worse challenger", "Rollback"]


def start_demo(folder: Path, **settings: str) -> subprocess.Popen[str]:
    ports = {"DEMO_AIRFLOW_PORT": str(free_port()), "DEMO_MLFLOW_PORT": str(free_port())}
    return subprocess.Popen(
        [sys.executable, "-m", "include.demo"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "DEMO_FOLDER": str(folder)} | ports | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that work in the demo's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("AIRFLOW_HOME", ""):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    demo = start_demo(folder, DEMO_EXIT="1")
    output, _ = demo.communicate(timeout=600)
    return folder, output, demo.returncode


def test_every_chapter_ends_as_told(told):
    folder, output, status = told
    summary = json.loads((folder / "summary.json").read_text())
    assert [chapter["name"] for chapter in summary["chapters"]] == CHAPTERS, output
    assert [chapter["as_told"] for chapter in summary["chapters"]] == [True] * 6, output
    assert [chapter["champion"] for chapter in summary["chapters"]] == [1, 2, 2, 2, 2, 1]
    assert summary["as_told"] is True
    assert status == 0


def test_it_prints_a_login_and_links(told):
    _, output, _ = told
    assert "login admin, password" in output
    assert "/dags/co2/runs/asset_triggered__" in output
    assert "/#/models/co2" in output


def test_the_journal_keeps_who_when_and_why(told):
    folder, _, _ = told
    journal = folder / "storage" / "journals" / "co2"
    entries = [json.loads(file.read_text()) for file in sorted(journal.glob("*.json"))]
    assert [(e["action"], e["from_version"], e["to_version"]) for e in entries] == [
        ("promote", None, 1),
        ("promote", 1, 2),
        ("rollback", 2, 1),
    ]
    assert entries[2]["reason"] == "v2 answers strangely at the station"
    assert entries[2]["actor"] == "admin"


def test_no_password_is_in_a_log_or_an_environment(told):
    folder, output, _ = told
    password = output.partition("password ")[2].split()[0]
    logs = [*folder.glob("*.log"), *(folder / "airflow" / "logs").rglob("*.log")]
    assert len(logs) > 10
    assert [log for log in logs if password in log.read_text(errors="replace")] == []


def test_no_process_is_left_behind(told):
    folder, _, _ = told
    assert processes_of(folder) == []


def test_ctrl_c_while_it_starts_leaves_no_process(tmp_path):
    folder = tmp_path / "demo"
    demo = start_demo(folder)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "waiting for Airflow" in line:
            break
    assert processes_of(folder) != []
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert processes_of(folder) == []


@pytest.mark.parametrize("setting", ["DEMO_AIRFLOW_PORT", "DEMO_MLFLOW_PORT"])
def test_a_taken_port_is_said_and_nothing_is_touched(tmp_path, setting):
    (tmp_path / "demo").mkdir()
    kept = tmp_path / "demo" / "of_another_demo"
    kept.touch()
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start_demo(tmp_path / "demo", **{setting: str(port)})
        output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert f"Port {port} is taken" in output
    assert f"{setting}={port + 1}" in output
    assert kept.exists()


def test_a_process_that_dies_is_said_with_the_end_of_its_log(tmp_path):
    broken = tmp_path / "site" / "mlflow"
    broken.mkdir(parents=True)
    (broken / "__main__.py").write_text("raise SystemExit('this MLflow can not start')")
    (broken / "__init__.py").touch()
    folder = tmp_path / "demo"
    demo = start_demo(folder, DEMO_EXIT="1", DEMO_PYTHONPATH=str(tmp_path / "site"))
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1
    assert "mlflow ended with status 1" in output
    assert "this MLflow can not start" in output
    assert processes_of(folder) == []


def test_a_folder_of_somebody_elses_is_not_emptied(tmp_path):
    kept = tmp_path / "letters" / "to_keep.txt"
    kept.parent.mkdir()
    kept.touch()
    demo = start_demo(kept.parent, DEMO_EXIT="1")
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "holds something else" in output
    assert kept.exists()
