"""Processes that must not be left behind: real ones, and their owner is killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_mlops.adapters.scoring_server.process import owned_process, peak_memory_mb
from tests.conftest import REPOSITORY
from tests.processes import is_gone, wait_until

ENVIRONMENT = {"PATH": os.environ["PATH"]}
FAMILY = ["/bin/sh", "-c", "sleep 600 & echo started; sleep 600"]

OWNER = """
import sys
from pathlib import Path
from airflow_mlops.adapters.scoring_server.process import owned_process

folder = Path(sys.argv[1])
with owned_process(["sleep", "600"], environment={}, folder=folder, log=folder / "log") as process:
    print(process.pid, flush=True)
    process.wait()
"""


def _owned(tmp_path: Path, command: list[str], **environment: str):
    return owned_process(command, environment=ENVIRONMENT | environment, folder=tmp_path, log=tmp_path / "log")


def test_a_command_runs_in_its_folder_with_its_own_variables_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "s3cret")
    with _owned(tmp_path, ["/bin/sh", "-c", "pwd; env; exit 3"], GREETING="hello there") as process:
        assert process.wait(30) == 3
    printed = (tmp_path / "log").read_text().splitlines()
    assert printed[0] == str(tmp_path)
    assert "GREETING=hello there" in printed
    assert not any("SECRET" in line for line in printed)


def test_the_whole_family_is_killed_when_the_block_ends(tmp_path: Path):
    with _owned(tmp_path, FAMILY) as process:
        wait_until(lambda: "started" in (tmp_path / "log").read_text())
        assert not is_gone(process.pid)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: is_gone(process.pid))


def test_the_whole_family_is_killed_when_the_block_raises(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), _owned(tmp_path, FAMILY) as process:
        raise ZeroDivisionError
    wait_until(lambda: is_gone(process.pid))


def test_what_a_command_leaves_behind_is_killed_when_the_block_ends(tmp_path: Path):
    with _owned(tmp_path, ["/bin/sh", "-c", "sleep 600 &"]) as process:
        assert process.wait(30) == 0
        assert not is_gone(process.pid)
    wait_until(lambda: is_gone(process.pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_does_not_outlive_an_owner_that_is_killed(tmp_path: Path, number: int):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        env=ENVIRONMENT | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    group = int(owner.stdout.readline())
    assert not is_gone(group)
    owner.send_signal(number)
    assert owner.wait(30) == -number
    wait_until(lambda: is_gone(group))
    owner.stdout.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_the_peak_of_memory_is_of_the_whole_group_and_stays_after_it_is_freed(tmp_path: Path):
    code = "b = b'x' * 100_000_000; del b; print('done', flush=True); import time; time.sleep(600)"
    command = ["/bin/sh", "-c", f'{sys.executable} -c "{code}" & {sys.executable} -c "{code}"']
    with _owned(tmp_path, command) as process:
        wait_until(lambda: (tmp_path / "log").read_text().count("done") == 2)
        assert 200 < peak_memory_mb(process.pid) < 400
    wait_until(lambda: is_gone(process.pid))
    assert peak_memory_mb(process.pid) is None
