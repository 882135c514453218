"""What Airflow adds to a task: a whole pipeline run in Airflow, less the same steps in one bare script.

Both train the CO2 model on the same files, against the same MLflow server, with everything imported before
the clock starts: in Airflow by the preload, in the script at its top.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.entry import Entry
from include.demo import co2_data
from include.demo.api import AirflowApi
from include.demo.services import REPOSITORY, Demo, free_port, running

REPETITIONS = 5

SCRIPT = """
import json, sys, time
from airflow_mlops.preload import preload
preload(["include.co2_model"], argv=["airflow", "scheduler"])
sys.path.insert(0, "dags")
from co2 import co2

def run(**settings):
    started = time.perf_counter()
    result = co2.run(storage_root=sys.argv[1], tracking_uri=sys.argv[2], **settings)
    assert result.blessing is not None
    return time.perf_counter() - started

run(force=True)
print(json.dumps([run(force=True) for _ in range(int(sys.argv[3]))]))
"""


def measure() -> Entry:
    """Run the pipeline both ways and return the difference of the medians, per task."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(folder=Path(folder) / "demo", airflow_port=free_port(), mlflow_port=free_port())
        with running(demo, lambda _: None):
            api = AirflowApi(demo)
            demo.wait(lambda: api.has_dag("co2"), "The DAG", 120)
            co2_data.deliver(co2_data.weeks(1958, 1984), demo.home / "inbox" / "co2", "co2.csv")
            demo.wait(lambda: _ended(api, 1), "The first run", 180)  # not counted: it warms Airflow up
            in_airflow, n_tasks = _runs_in_airflow(demo, api)
            bare = _bare_runs(demo)
    print(f"in Airflow {in_airflow}, bare {bare}, {n_tasks} tasks")
    per_task = (statistics.median(in_airflow) - statistics.median(bare)) / n_tasks
    return Entry(name="run_overhead_s_per_task", ours=per_task, baseline=None, unit="s", better="lower")


def _runs_in_airflow(demo: Demo, api: AirflowApi) -> tuple[list[float], int]:
    seconds, n_tasks = [], 0
    for index in range(REPETITIONS):
        run_id = api.trigger("co2", {"force": True})
        demo.wait(lambda n=index + 2: _ended(api, n), "A run", 180)
        run = next(run for run in api.runs("co2") if run["dag_run_id"] == run_id)
        if run["state"] != "success":
            raise RuntimeError(f"The run {run_id} ended as {run['state']}; nothing to measure.")
        start, end = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
        seconds.append((end - start).total_seconds())
        n_tasks = sum(state == "success" for state in api.task_states("co2", run_id).values())
    return seconds, n_tasks


def _bare_runs(demo: Demo) -> list[float]:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(demo.storage), demo.mlflow_url, str(REPETITIONS)],
        cwd=REPOSITORY,
        env=os.environ | {"AIRFLOW_HOME": str(demo.home), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    seconds: list[float] = json.loads(found.stdout.splitlines()[-1])
    return seconds


def _ended(api: AirflowApi, n_runs: int) -> bool:
    runs = api.runs("co2")
    return len(runs) >= n_runs and all(run["state"] in ("success", "failed") for run in runs)
