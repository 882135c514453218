from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys

import pytest

from airflow_mlops import preload

COMMANDS = {
    "scheduler": ["airflow", "scheduler"],
    "celery worker": ["airflow", "celery", "worker"],
}
OTHERS = {
    "api server": ["airflow", "api-server"],
    "triggerer": ["airflow", "triggerer"],
    "celery flower": ["airflow", "celery", "flower"],
    "a command about schedulers": ["airflow", "jobs", "check", "scheduler"],
    "nothing": ["airflow"],
    "python": ["-c"],
}

CHILD = """
import sys

from airflow_mlops import preload

preload.HEAVY_MODULES = ("colorsys",)
sys.argv = sys.argv[1:]
imported = preload.preload(["chunk"])
print(",".join(imported), "colorsys" in sys.modules, "chunk" in sys.modules)
"""


def _in_a_process_named(argv: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *argv], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_it_imports_in_a_process_that_tasks_are_forked_from(argv: list[str]):
    assert _in_a_process_named(argv) == "colorsys,chunk True True"


@pytest.mark.parametrize("argv", OTHERS.values(), ids=OTHERS)
def test_it_imports_in_no_other_process(argv: list[str]):
    assert _in_a_process_named(argv) == "False False"


def test_the_parent_of_parsing_processes_gets_what_dag_files_import_and_nothing_of_the_user_s():
    assert preload.modules_for(["airflow", "dag-processor"]) == preload.AUTHORING_MODULES


def test_a_library_that_is_not_there_is_logged_and_left_to_the_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(preload, "HEAVY_MODULES", ("no_such_library", "colorsys"))
    with caplog.at_level(logging.INFO, logger="airflow_mlops.preload"):
        assert preload.preload(argv=["airflow", "scheduler"]) == ("colorsys",)
    assert "preload: module=no_such_library error=No module named 'no_such_library'" in caplog.messages
    assert any(message.startswith("preload: n_modules=1 ") for message in caplog.messages)


def test_what_needs_an_extra_that_is_not_installed_is_passed_over_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(preload, "HEAVY_MODULES", ("airflow_mlops.adapters.optuna", "colorsys"))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with caplog.at_level(logging.INFO, logger="airflow_mlops.preload"):
        assert preload.preload(argv=["airflow", "scheduler"]) == ("colorsys",)
    assert [message for message in caplog.messages if "optuna" in message] == []


@pytest.mark.parametrize("name", [*preload.HEAVY_MODULES, *preload.AUTHORING_MODULES])
def test_every_module_that_is_named_exists(name: str):
    assert importlib.util.find_spec(name) is not None


def test_the_rehearsal_builds_a_dag_that_nobody_sees():
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    before = set(DagContext.autoregistered_dags)
    preload._rehearse()
    assert set(DagContext.autoregistered_dags) == before


def test_a_rehearsal_that_fails_is_logged_and_keeps_nothing_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(preload, "_rehearse", lambda: 1 / 0)
    assert preload.preload(argv=["airflow", "dag-processor"]) == preload.AUTHORING_MODULES
    assert "the rehearsal failed: division by zero" in caplog.text
