"""A piece of work in a process of its own: how long it takes, and how much memory it needs at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]

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
