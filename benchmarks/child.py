"""Processes of their own: a piece of work, how long it takes and how much memory it needs at most; or a server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_START_S = 120

_CHILD = """
import json, os, sys, time
{prepare}
started = time.perf_counter()
{work}
seconds = time.perf_counter() - started
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss knows the parent's too
print("\\n" + json.dumps([seconds, int(peak.split()[1]) / 1024]))
"""


def run(prepare: str, work: str, *arguments: object) -> tuple[float, float]:
    """Run Python text in a fresh process.

    :param prepare: what comes before the clock starts, such as imports.
    :param work: what is measured; ``sys.argv[1:]`` are the arguments.
    :returns: seconds, and megabytes at the peak.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(prepare=prepare, work=work), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("["))  # not a progress bar
    seconds, megabytes = json.loads(answer)
    return seconds, megabytes


@contextlib.contextmanager
def serving(
    *arguments: str, url: str, log: Path, folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run ``python`` with these arguments, once it answers at an address, until the block ends.

    :param log: where what it prints goes; its end is told where the process dies, or does not answer in time.
    :param folder: where it works; ``None``: here.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow runs uvicorn by its name
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(_REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=output,
            stderr=output,
            env=environment | dict(variables or {}),
            cwd=folder,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(url):
            if process.poll() is not None:
                raise RuntimeError(f"{arguments} ended with status {process.returncode}:\n{log.read_text()[-3000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{arguments} does not answer at {url}:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:  # a status that is not good is one, too
        return False
