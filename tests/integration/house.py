"""A running Airflow with the pipelines that a test gives it."""

from __future__ import annotations

import contextlib
import json
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.steps.registry.ledger import read_decisions
from include.demo.api import AirflowApi
from include.demo.services import Demo

__all__ = ["House", "QuickDemo"]

_SETTINGS = {
    # A triggerer that was killed is taken for dead after 10 seconds, not 30.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}


class QuickDemo(Demo):
    """The demo's processes, which notice sooner that one of them has died."""

    def environment(self) -> dict[str, str]:
        return super().environment() | _SETTINGS


@dataclass(frozen=True)
class House:
    """A running Airflow, and what its pipelines leave."""

    demo: Demo
    api: AirflowApi

    @property
    def storage(self) -> Storage:
        return Storage(str(self.demo.storage))

    def add_dags(self, name: str, text: str, *, wait_for: tuple[str, ...]) -> None:
        """Add a DAG file, and wait until its DAGs are known and not paused."""
        (self.demo.dags / f"{name}.py").write_text(text)
        self.wait(lambda: all(self.api.has_dag(dag_id) for dag_id in wait_for), f"The DAGs of {name}")

    def deliver(self, frame: pd.DataFrame, name: str) -> Path:
        """Put a file into an inbox, whole, and return where it is."""
        path = self.demo.home / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path.with_name(f".{path.name}"), index=False)
        return path.with_name(f".{path.name}").rename(path)

    def wait(self, done: Callable[[], Any], what: str, *, poll_s: float = 0.3) -> None:
        self.demo.wait(lambda: bool(done()), what, 180, poll_s)

    def next_run(self, dag_id: str, start: Callable[[], Any], *, state: str = "success") -> dict[str, Any]:
        """Do what starts a run, and return the run once it has ended."""
        known = {run["dag_run_id"] for run in self.api.runs(dag_id)}
        start()
        found: list[dict[str, Any]] = []

        def has_ended() -> bool:
            found[:] = [run for run in self.api.runs(dag_id) if run["dag_run_id"] not in known]
            return bool(found) and all(run["state"] in ("success", "failed") for run in found)

        self.wait(has_ended, f"A run of {dag_id}")
        assert [run["state"] for run in found] == [state], "one run, which ends so"
        return found[0]

    def decided(self, run: dict[str, Any]) -> RetrainDecision:
        """Return the decision of a run, as the ledger has it."""
        (mine,) = [
            entry for entry in read_decisions(run["dag_id"], storage=self.storage) if entry.run_id == run["dag_run_id"]
        ]
        return mine

    def events(self, asset: str) -> list[dict[str, Any]]:
        """Return what the watcher of an asset has told Airflow, oldest first."""
        (known,) = [one for one in self.api.get("/assets?limit=100")["assets"] if one["name"] == asset]
        found: list[dict[str, Any]] = []

        def answers() -> bool:
            try:
                path = f"/assets/events?asset_id={known['id']}&order_by=timestamp&limit=100"
                found[:] = self.api.get(path)["asset_events"]
            except urllib.error.HTTPError as error:
                if error.code != 500:  # Airflow 3.3.2 has no other answer while a run that was started is queued
                    raise
                return False
            return True

        self.wait(answers, f"Airflow's answer about the events of {asset}")
        return [event["extra"]["payload"] for event in found]

    def watermark(self, name: str) -> dict[str, dict[str, str]]:
        """Return what the storage has noted of what was told."""
        path = self.demo.storage / "watermarks" / f"{name}.json"
        note: dict[str, dict[str, str]] = {"handled": {}, "announced": {}}
        with contextlib.suppress(FileNotFoundError):
            note = json.loads(path.read_text())
        return note

    def log(
        self, frame: pd.DataFrame, *, at: datetime, version: int, predictions: Any, model_name: str = "loop"
    ) -> None:
        """Write the inference log as a server does."""
        table = log_table(
            pa.Table.from_pandas(frame, preserve_index=False),
            ids=[f"{at:%d}-{place}" for place in range(len(frame))],
            request_id="r",
            at=at,
            model_digest="sha256:m",
            model_version=version,
            role=Role.CHAMPION,
            predictions=np.asarray(predictions),
        )
        InferenceLog(self.storage.path("inference", model_name)).write(table, at=at)

    def label(self, frame: pd.DataFrame, *, at: datetime, slope: float) -> None:
        """Deliver the truth for what was asked at a time."""
        labels = self.demo.home / "labels"
        labels.mkdir(exist_ok=True)
        ids = [f"{at:%d}-{place}" for place in range(len(frame))]
        pd.DataFrame({"id": ids, "label": slope * frame["x"]}).to_csv(labels / "labels.csv", index=False)

    def is_known(self, dag_id: str) -> bool:
        return dag_id in {dag["dag_id"] for dag in self.api.get("/dags?limit=100")["dags"]}

    def pause(self, dag_id: str, *, is_paused: bool) -> None:
        self.api.patch(f"/dags/{dag_id}", {"is_paused": is_paused})

    def task_log(self, run: dict[str, Any], task_id: str) -> str:
        """Return what a person reads on the page of a task's log."""
        path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/logs/1?full_content=true"
        return json.dumps(self.api.get(path), ensure_ascii=False)

    def kill_triggerer(self) -> None:
        """Kill the triggerer and the process that runs the triggers, as a machine that goes down does."""
        process = self.demo.processes.pop("airflow-triggerer")
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert len(family) > 1, "the triggers run in a process of their own"
        assert not alive
