"""A process that does not outlive the one that started it, whatever happens to either."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["owned_process", "peak_memory_mb"]

# The background part waits for the end of its input, which comes when the owner closes the pipe or dies, even by
# SIGKILL, and then kills the whole process group. The command takes the shell's place, so its status is the child's.
_WATCHED = 'exec 3<&0; { read -r _; kill -s KILL 0; } <&3 & exec "$@" 3<&- </dev/null'


@contextlib.contextmanager
def owned_process(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, and kill the whole group when the block ends.

    :param environment: all of its variables; none is inherited.
    :param folder: where it runs.
    :param log: takes what it prints.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # the shell gets the command as arguments, not as text
            ["/bin/sh", "-c", _WATCHED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # The watcher keeps the group's id from being given to others until it is killed here.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def peak_memory_mb(group: int) -> float | None:
    """Return the peak of resident memory of a process group, summed over its processes, in million bytes.

    :returns: ``None`` where the system does not say: without ``/proc``, or when no process is left.
    """
    peaks = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # processes end while one looks at them
            if os.getpgid(int(status.parent.name)) == group:
                peaks += [int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return sum(peaks) * 1024 / 1e6 if peaks else None
