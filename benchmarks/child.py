"""A piece of work in a process of its own: how long it takes, and how much memory it needs at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]

_CHILD = """
import json, os, resource, sys, time
{prepare}
started = time.perf_counter()
{work}
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
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
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, megabytes
