"""Tasks that run their step in the process of another environment, in real DAG runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from airflow.sdk import DAG

from airflow_mlops import operators
from tests.adapters.process.test_child_process import assert_all_end, wait_until, when_there
from tests.operators.conftest import House
from tests.steps import trainers
from tests.steps.cases import runs_by_status, small_frame

GATE = {"metrics": {"mean_absolute_error": {"value_threshold": 1.0}}, "cold_start": True}


def _dag(house: House, training: dict[str, object], python: Path) -> DAG:
    file = house.folder / "data.csv"
    small_frame().to_csv(file, index=False)
    data, runner = {"path": str(file), "timestamp": "day"}, {"type": "python", "python": str(python)}
    with DAG(dag_id="small", schedule=None) as dag:
        snapshot = operators.SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        split = operators.SplitDatasetOperator(task_id="split", snapshot=snapshot.output, data=data)
        train = operators.TrainModelOperator(
            task_id="train", model_name="small", split=split.output, training={"target": "y"} | training, runner=runner
        )
        operators.EvaluateModelOperator(
            task_id="evaluate", model=train.output, split=split.output, gate=GATE, runner="{{ params.runner }}"
        )
    dag.render_template_as_native_obj = True
    dag.params["runner"] = runner
    return dag


def test_a_run_trains_and_evaluates_by_another_python(house: House, other_python: Path):
    training = {"function": f"{trainers.__name__}:{trainers.needs_the_newer_library.__name__}"}
    ended = house.run(_dag(house, training, other_python))
    assert ended.states == dict.fromkeys(("snapshot", "split", "train", "evaluate"), "success")
    (comparison,) = ended.result("evaluate")["comparisons"]
    assert comparison["challenger"] < 1.0
    assert ended.xcoms["evaluate", "_link_ReportLink"].startswith("http://airflow.test/mlops/reports/small/")
    assert runs_by_status(house.platform) == {"FINISHED": 1}


def test_a_task_that_airflow_ends_ends_the_step_with_all_that_it_started(house: House, other_python: Path):
    note = house.folder / "pids"
    training = {"function": f"{trainers.__name__}:{trainers.never_ends.__name__}", "params": {"note": str(note)}}
    thread = when_there(note, lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = house.run(_dag(house, training, other_python))
    thread.join()
    assert ended.states["train"] == "failed"
    assert_all_end(note)
    wait_until(lambda: runs_by_status(house.platform) in ({"FAILED": 1}, {"RUNNING": 1}))
