"""A child process that works for this one: it is told what to do, logs, answers once, and does not outlive us."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, cast

from airflow_mlops.errors import SpecError

__all__ = ["Ended", "end_children", "run_child"]

log = logging.getLogger(__name__)

_GRACE_S = 3.0  # less than the five seconds after which Airflow kills a task that it has asked to end
_N_LAST_LINES = 10

_running: set[subprocess.Popen[str]] = set()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended.

    :param status: its exit status; negative: minus the signal that killed it.
    :param output: all that it wrote to standard output.
    :param last_lines: the end of what it wrote to standard error.
    """

    status: int
    output: str
    last_lines: tuple[str, ...]

    @property
    def signal(self) -> str:
        """The name of the signal that killed it, also where a shell or a container engine reports it; or empty."""
        number = -self.status if self.status < 0 else self.status - 128
        return {each.value: each.name for each in signal.Signals}.get(number, "")


def run_child(command: Sequence[str], line: str, *, env: Mapping[str, str]) -> Ended:
    """Start a command, give it one line, log what it writes to standard error as it comes, and wait for its end.

    Standard input stays open for as long as this process lives, so that the child sees when it is left alone.
    However this function is left, the child's whole process group is ended.

    :raises SpecError: when the command can't be started.
    """
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(  # noqa: S603  # the DAG's author chooses the command, and no shell reads it
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=env,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise SpecError(
            f"{command[0]!r} can't be started: {error.strerror}. Nothing was run. Fix the runner."
        ) from error
    _running.add(process)
    try:
        return _attend(process, line)
    finally:
        if process.returncode is None:
            _end(process)
        _running.discard(process)


def end_children() -> None:
    """End the children that are running, with all that they started."""
    for process in tuple(_running):
        _end(process)


def _attend(process: subprocess.Popen[str], line: str) -> Ended:
    stdin, stdout, stderr = cast("tuple[IO[str], IO[str], IO[str]]", (process.stdin, process.stdout, process.stderr))
    output: list[str] = []
    last_lines: deque[str] = deque(maxlen=_N_LAST_LINES)
    readers = (_started(_read, stdout, output), _started(_log_lines, stderr, last_lines))
    with contextlib.suppress(BrokenPipeError), stdin:  # broken: it has ended already, and its status says why
        stdin.write(f"{line}\n")
        stdin.flush()
        _started(_wait_and_end, process).join()  # unlike the wait itself, a join lets a signal's handler wait too
    for reader in readers:
        reader.join(_GRACE_S)  # what has left the process group may hold a pipe open
    return Ended(status=process.wait(), output="".join(output), last_lines=tuple(last_lines))


def _started(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _read(stdout: IO[str], output: list[str]) -> None:
    with stdout:
        output.append(stdout.read())


def _log_lines(stderr: IO[str], last_lines: deque[str]) -> None:
    with stderr:
        for line in stderr:
            last_lines.append(line.rstrip())
            log.info("%s", last_lines[-1])


def _wait_and_end(process: subprocess.Popen[str]) -> None:
    """Wait for a child, and end what it leaves behind."""
    process.wait()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the whole process group to end, and compel it after a few seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
