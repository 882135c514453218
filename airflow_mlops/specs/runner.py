"""Where a step runs: in the task's process, in another Python environment, or in a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["CommandRunner", "InProcessRunner", "PythonRunner", "RunnerSpec", "parse_runner"]


class InProcessRunner(Spec):
    """Run the step in the task's own process."""

    type: Literal["in_process"] = "in_process"


class PythonRunner(Spec):
    """Run the step by another Python interpreter on the same machine, such as that of a virtual environment.

    There this package must be installed in the same version, and what the step imports; Airflow need not be.

    :param python: the interpreter, an absolute path.
    :param env: environment variables beside those of the task. ``PYTHONPATH`` and everything that begins with
        ``AIRFLOW`` is not passed on from the task.
    """

    type: Literal["python"] = "python"
    python: str = Field(pattern="^/.")
    env: dict[str, str] = Field(default_factory=dict)


class CommandRunner(Spec):
    """Run the step by a command of your own, such as ``docker run``.

    The command must start ``python -m airflow_mlops.runner`` and connect its standard input, output and error with
    its own: the request comes in, the result goes out, and what is logged goes to the task's log. The storage root
    must be there under the same path, and MLflow at the same address.

    :param command: the program and its arguments; no shell reads them.
    """

    type: Literal["command"] = "command"
    command: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)


RunnerSpec = Annotated[InProcessRunner | PythonRunner | CommandRunner, Field(discriminator="type")]


class _Setting(Spec):
    runner: RunnerSpec = Field(default_factory=InProcessRunner)


def parse_runner(document: Spec | Mapping[str, Any] | None) -> InProcessRunner | PythonRunner | CommandRunner:
    """Build a runner from its settings; nothing is the task's own process.

    :raises SpecError: when a setting can't be used.
    """
    return _Setting.parse({"runner": document} if document else {}).runner
