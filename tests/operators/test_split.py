"""The split and its leakage check as tasks."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_mlops.operators.data import SnapshotDatasetOperator
from airflow_mlops.operators.split import CheckLeakageOperator, SplitDatasetOperator
from tests.operators.conftest import House
from tests.steps.cases import small_frame


def _dag(house: House, **leakage: Any) -> DAG:
    file = house.folder / "data.csv"
    frame = small_frame()
    frame.assign(half=frame["y"] - frame["x"]).to_csv(file, index=False)
    data = {"path": str(file), "timestamp": "day"}
    with DAG(dag_id="checked_split", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        split = SplitDatasetOperator(
            task_id="split", snapshot=snapshot.output, data=data, split={"validation_fraction": 0.1, "gap": "P2D"}
        )
        CheckLeakageOperator(
            task_id="check_leakage",
            split=split.output,
            training={"target": "y", "estimator": "sklearn.linear_model.Ridge"},
            leakage=leakage,
            retries=3,
        )
    return dag


def test_a_leak_fails_the_task_for_good_with_its_report_linked(house: House):
    ended = house.run(_dag(house))
    assert ended.states == {"snapshot": "success", "split": "success", "check_leakage": "failed"}
    assert ended.tries["check_leakage"] == 1
    (finding,) = ended.result("check_leakage")["findings"]
    assert (finding["rule"], sorted(finding["columns"])) == ("combination_reproduces_target", ["half", "x"])
    link = f"http://airflow.test/mlops/{ended.result('check_leakage')['report_uri']}"
    assert link in ended.xcoms.values()
    assert ended.result("split")["n_left_out"] == 4


def test_without_a_leak_the_run_goes_on(house: House):
    ended = house.run(_dag(house, allow=["half"]))
    assert ended.state == "success"
    assert ended.result("check_leakage")["findings"] == []
