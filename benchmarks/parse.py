"""How long Airflow takes to parse the factory's DAG, against a DAG of as many EmptyOperators.

The DAG processor forks a process for every file, from a parent that has Airflow imported and what
``airflow_mlops.preload`` puts there. So does this.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.entry import Entry

REPOSITORY = Path(__file__).parents[1]
HEAVY = ("boto3", "duckdb", "evidently", "great_expectations", "mlflow", "pandas", "pyarrow", "sklearn", "skops")
REPETITIONS = 15

EMPTY_DAG = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.bases.operator import chain

with DAG("empty", schedule=None):
    chain(*[EmptyOperator(task_id=f"task_{i}") for i in range({n_tasks})])
"""

PARENT = """
import json, os, sys, time
import airflow.providers.standard.operators.empty, airflow.sdk.bases.operator, airflow.triggers.base
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Asset, AssetWatcher, Param, TaskGroup
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow_mlops.preload import preload
if sys.argv[3] == "preloaded":
    preload(argv=["airflow", "dag-processor"])

def parse(path):
    reader, writer = os.pipe()
    if not (child := os.fork()):
        started = time.perf_counter()
        bag = DagBag(path)
        seconds = time.perf_counter() - started
        assert not bag.import_errors, bag.import_errors
        tasks = len(bag.dags["co2" if "co2" in bag.dags else "empty"].tasks)
        heavy = [name for name in {heavy!r} if name in sys.modules]
        os.write(writer, json.dumps([seconds, tasks, heavy]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    return json.loads(os.read(reader, 10_000))

ours, empty = sys.argv[1:3]
print(json.dumps([[parse(ours), parse(empty)] for _ in range({repetitions})]))
"""


def measure(preloaded: str = "preloaded") -> Entry:
    """Parse both in turn and return the medians."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "ours").mkdir()
        (home / "empty").mkdir()
        (home / "ours" / "co2.py").write_text(
            (REPOSITORY / "dags" / "co2.py")
            .read_text()
            .replace("Path(__file__).parents[1]", f"Path({str(REPOSITORY)!r})")
            .replace("rollback = co2.rollback_dag()", "")
        )
        (home / "empty" / "empty.py").write_text(EMPTY_DAG.replace("{n_tasks}", "12"))
        script = PARENT.replace("{heavy!r}", repr(HEAVY)).replace("{repetitions}", str(REPETITIONS))
        found = subprocess.run(
            [sys.executable, "-c", script, str(home / "ours" / "co2.py"), str(home / "empty" / "empty.py"), preloaded],
            env=os.environ
            | {
                "AIRFLOW_HOME": folder,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
                "PYTHONPATH": str(REPOSITORY),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    pairs = json.loads(found.stdout.splitlines()[-1])
    for (_, n_ours, heavy), (_, n_empty, _) in pairs:
        if heavy or n_ours != n_empty:
            raise RuntimeError(f"Not comparable: {n_ours} tasks against {n_empty}, heavy modules {heavy}.")
    ours, baseline = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    return Entry(name="parse", ours=ours, baseline=baseline, unit="s", better="lower")
