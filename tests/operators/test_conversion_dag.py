"""The export as a task."""

from __future__ import annotations

import mlflow
from airflow.sdk import DAG

from airflow_mlops.operators import (
    ConvertModelOperator,
    SnapshotDatasetOperator,
    SplitDatasetOperator,
    TrainModelOperator,
)
from tests.operators.conftest import House
from tests.steps.cases import small_frame


def test_an_export_that_is_refused_is_green_and_its_report_says_why(house: House):
    file = house.folder / "data.csv"
    small_frame().to_csv(file, index=False)
    data = {"path": str(file), "timestamp": "day"}
    training = {"target": "y", "estimator": "sklearn.linear_model.Ridge"}
    with DAG(dag_id="exports", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        split = SplitDatasetOperator(task_id="split", snapshot=snapshot.output, data=data)
        model = TrainModelOperator(task_id="train", model_name="small", split=split.output, training=training)
        ConvertModelOperator(task_id="convert", model=model.output, split=split.output, conversion={"tolerance": 1e-15})

    ended = house.run(dag)

    assert ended.state == "success"
    report = ended.result("convert")
    assert report["status"] == "REFUSED"
    assert (report["reasons"][0]["rule"], report["reasons"][0]["required"]) == ("tolerance", 1e-15)
    assert report["reasons"][0]["observed"] > 1e-15
    assert f"http://airflow.test/mlops/{report['report_uri']}" in ended.xcoms.values()
    run = mlflow.MlflowClient(house.tracking_uri).get_run(report["run_id"])
    assert run.data.tags["mlops.formats"] == "skops"
