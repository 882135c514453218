"""The search for hyperparameters as tasks: one, and several that share a budget."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_mlops.operators import (
    SnapshotDatasetOperator,
    SplitDatasetOperator,
    TrainModelOperator,
    TuneModelOperator,
)
from tests.operators.conftest import House
from tests.steps.cases import small_frame


def _dag(house: House) -> DAG:
    file = house.folder / "data.csv"
    small_frame().to_csv(file, index=False)
    data = {"path": str(file), "timestamp": "day"}
    training = {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 100.0}}
    search = {
        "space": {"alpha": {"type": "float", "low": 0.001, "high": 1000.0, "log": True}},
        "metric": "neg_mean_absolute_error",
        "n_trials": 4,
        "n_folds": 3,
    }
    with DAG(dag_id="tuned", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
        split = SplitDatasetOperator(task_id="split", snapshot=snapshot.output, data=data, split={})
        settings = {"model_name": "small", "split": split.output, "training": training, "tuning": search}
        workers = TuneModelOperator.partial(task_id="workers", **settings).expand(worker=[0, 1, 2])
        tune = TuneModelOperator(task_id="tune", **settings)
        TrainModelOperator(
            task_id="train",
            model_name="small",
            split=split.output,
            training=training,
            tuning=tune.output,
        )
        TuneModelOperator(task_id="chosen", hyperparameters='{"alpha": 7.0}', **settings)
        workers >> tune
    return dag


def test_workers_share_a_search_whose_best_hyperparameters_are_trained_with(house: House):
    ended = house.run(_dag(house))
    assert ended.state == "success"
    found = ended.result("tune")
    assert (found["n_finished"], found["n_failed"]) == (4, 0)
    assert found["best_score"] > found["default_score"]
    assert ended.result("train")["params"] == found["best_params"]
    assert ended.result("workers")["fingerprint"] == found["fingerprint"]
    assert len(house.platform.storage.names("tuning", "small")) == 2  # the one of `chosen` is another search
    chosen = ended.result("chosen")
    assert (chosen["best_params"], chosen["n_finished"]) == ({"alpha": 7.0}, 1)
    assert f"http://airflow.test/mlops/{found['report_uri']}" in ended.xcoms.values()
