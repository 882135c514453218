"""Run in a process of its own by ``benchmarks/sensors.py``: Airflow's triggerer, without a database behind it.

The supervisor is Airflow's own, and so is the runner that it forks, in which the triggers live. Only what it would ask
its database for comes from here: which triggers there are, and where their events go.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import attrs
from airflow.executors.workloads import RunTrigger
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor
from airflow.models.trigger import Trigger

__all__ = ["main"]

DELIVER_PER_LOOP = 100


@attrs.define(kw_only=True)
class Supervisor(TriggerRunnerSupervisor):  # type: ignore[misc]
    """Starts what it is told to, and writes down what fires."""

    events_file: Any = None

    def load_triggers(self) -> None:
        """Do nothing: they are handed over by the main program."""

    def heartbeat(self) -> None:
        """Do nothing: there is no job."""

    def clean_unused(self) -> None:
        """Do nothing: there is no table."""

    def emit_metrics(self) -> None:
        """Do nothing: there is no host."""

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        """Write down which trigger fired, and when."""
        self._note(trigger_id=trigger_id, at=time.time(), payload=event.payload)

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        """Write down which trigger failed, and how."""
        self._note(trigger_id=trigger_id, at=time.time(), failure=exc and exc[-1])

    def _note(self, **what: Any) -> None:
        self.events_file.write(json.dumps(what) + "\n")
        self.events_file.flush()


def workload(number: int, classpath: str, settings: dict[str, Any]) -> RunTrigger:
    """Return a deferred task's trigger, as the supervisor gets it from the database."""
    task = TaskInstanceDTO(
        id=uuid.uuid4(),
        dag_version_id=uuid.uuid4(),
        task_id=f"wait_{number}",
        dag_id="watching",
        run_id="scheduled__2026-01-01T00:00:00+00:00",
        try_number=1,
        map_index=-1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    return RunTrigger(id=number, classpath=classpath, encrypted_kwargs=Trigger.encrypt_kwargs(settings), ti=task)


def main() -> int:
    """Supervise the triggers of a file until the parent is gone.

    The arguments are a file of triggers, which is read once there is one, a file for events, one for the runner's
    process id, and the parent's process id.
    """
    triggers, events, pid = map(Path, sys.argv[1:4])
    with events.open("w") as stream:
        supervisor = Supervisor.start(job=None, capacity=2000, logger=None)
        supervisor.events_file = stream
        pid.with_suffix(".new").write_text(str(supervisor.pid))
        pid.with_suffix(".new").replace(pid)
        left: list[Any] | None = None
        while supervisor.is_alive() and os.getppid() == int(sys.argv[4]):
            if left is None and triggers.exists():
                left = json.loads(triggers.read_text())
            for number, classpath, settings in (left or [])[:DELIVER_PER_LOOP]:
                supervisor.creating_triggers.append(workload(number, classpath, settings))
            left = left and left[DELIVER_PER_LOOP:]
            supervisor.run_once()
        supervisor.kill(force=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
