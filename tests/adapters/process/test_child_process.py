"""Children of another kind than steps: small scripts that start at once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlops.adapters.process.child_process import Ended, end_children, run_child
from airflow_mlops.errors import SpecError
from tests.conftest import REPOSITORY

# Starts a process of its own, says who both are, and waits for ever.
LINGERS = """
import os, signal, subprocess, sys, time
{before}
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as note:
    note.write(f"{{os.getpid()}} {{other.pid}}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
{after}
"""
FOR_EVER = "time.sleep(600)"


def _run(code: str, *arguments: object, line: str = "") -> Ended:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return run_child(command, line, env=dict(os.environ))


def wait_until(is_so: Callable[[], bool], timeout_s: float = 120.0) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_all_end(note: Path) -> None:
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "pids"


def when_there(note: Path, act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=lambda: (wait_until(note.exists), act()))
    thread.start()
    return thread


def test_it_is_given_its_line_and_its_output_comes_back_whole():
    ended = _run("import sys; print(sys.stdin.readline().strip() * 100_000)", line="é{}")
    assert ended == Ended(status=0, output="é{}" * 100_000 + "\n", last_lines=())


def test_what_it_logs_is_logged_line_by_line_as_it_comes(caplog: pytest.LogCaptureFixture, note: Path):
    code = """
import os, sys, time
print("one", file=sys.stderr, flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
sys.stderr.write("10%\\r20%\\r")
sys.stderr.buffer.write(b"\\xff two")
"""
    caplog.set_level(logging.INFO)
    thread = threading.Thread(target=lambda: (wait_until(lambda: "one" in caplog.messages), note.touch()))
    thread.start()
    ended = _run(code, note)
    thread.join()
    assert list(caplog.messages) == ["one", "10%", "20%", "\N{REPLACEMENT CHARACTER} two"]
    assert ended.last_lines == ("one", "10%", "20%", "\N{REPLACEMENT CHARACTER} two")


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        ("import os; os.kill(os.getpid(), 9)", -9, "SIGKILL"),
        ("raise SystemExit(137)", 137, "SIGKILL"),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit(255)", 255, ""),
    ],
)
def test_how_it_ended_is_told_also_as_a_container_engine_tells_it(code: str, status: int, name: str):
    ended = _run(code, line="not read")
    assert (ended.status, ended.signal) == (status, name)


@pytest.mark.parametrize("command", ["/no/such/python", "/etc/passwd"])
def test_what_can_t_be_started_is_a_mistake_in_the_spec(command: str):
    with pytest.raises(SpecError, match=f"'{command}' can't be started: .*Nothing was run."):
        run_child([command], "", env={})


def test_what_it_leaves_behind_is_ended_with_it(note: Path):
    ended = _run(LINGERS.format(before="", after="print('done')"), note)
    assert (ended.status, ended.output) == (0, "done\n")
    assert_all_end(note)


@pytest.mark.parametrize("before", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"], ids=["willing", "deaf"])
def test_an_exception_here_such_as_a_timeout_ends_it_with_all_that_it_started(note: Path, before: str):
    def time_out(*_: object) -> None:
        raise TimeoutError

    earlier = signal.signal(signal.SIGALRM, time_out)
    thread = when_there(note, lambda: os.kill(os.getpid(), signal.SIGALRM))
    try:
        with pytest.raises(TimeoutError):
            _run(LINGERS.format(before=before, after=FOR_EVER), note)
    finally:
        thread.join()
        signal.signal(signal.SIGALRM, earlier)
    assert_all_end(note)


def test_a_handler_of_a_signal_can_end_it_and_the_caller_sees_by_what(note: Path):
    earlier = signal.signal(signal.SIGUSR1, lambda *_: end_children())
    thread = when_there(note, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    try:
        ended = _run(LINGERS.format(before="", after=FOR_EVER), note)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, earlier)
    assert ended.signal == "SIGTERM"
    assert_all_end(note)


def test_its_input_ends_when_the_one_who_asked_is_killed(note: Path):
    code = """
import os, sys
from airflow_mlops.adapters.process.child_process import run_child
run_child([sys.executable, "-c", sys.argv[1], sys.argv[2]], "a line", env=dict(os.environ))
"""
    child = LINGERS.format(before="", after="sys.stdin.read(); other.kill()")
    caller = subprocess.Popen(
        [sys.executable, "-c", code, child, str(note)], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
    )
    with contextlib.ExitStack() as stack:
        stack.callback(caller.wait)
        wait_until(note.exists)
        caller.kill()
    assert_all_end(note)
