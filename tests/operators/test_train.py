"""Training as a task: what ends it from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_mlops.operators.data import SnapshotDatasetOperator
from airflow_mlops.operators.split import SplitDatasetOperator
from airflow_mlops.operators.train import TrainModelOperator
from tests.operators.conftest import House
from tests.steps.cases import NOTHING_LEFT, left_by, runs_by_status, small_frame


def _dag(house: House, training: dict[str, Any], **settings: Any) -> DAG:
    file = house.folder / "data.csv"
    small_frame().to_csv(file, index=False)
    data = {"path": str(file), "timestamp": "day"}
    with DAG(dag_id="trained", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        split = SplitDatasetOperator(task_id="split", snapshot=snapshot.output, data=data)
        TrainModelOperator(
            task_id="train",
            model_name="small",
            split=split.output,
            training={"target": "y", **training},
            **settings,
        )
    return dag


def test_a_training_that_takes_too_long_fails_and_leaves_an_ended_run_and_no_version(house: House):
    ended = house.run(_dag(house, {"function": "tests.steps.trainers:times_out"}, execution_timeout=timedelta(hours=1)))
    assert ended.states == {"snapshot": "success", "split": "success", "train": "failed"}
    assert runs_by_status(house.platform) == {"FAILED": 1}
    assert left_by(house.platform) == NOTHING_LEFT


def test_a_training_in_time_succeeds_with_its_run_linked(house: House):
    settings = {"estimator": "xgboost.XGBRegressor", "params": {"n_estimators": 5, "n_jobs": 1}}
    ended = house.run(_dag(house, settings, execution_timeout=timedelta(hours=1)))
    assert ended.state == "success"
    assert ended.result("train")["metrics"]["train_rows"] == 239.0
    assert runs_by_status(house.platform) == {"FINISHED": 1}
