"""Batch scoring in DAGs: declared, by hand, into a real PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from airflow.sdk import DAG

from airflow_mlops import BatchScoring
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.operators import BatchPredictOperator
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from tests.operators.conftest import House
from tests.steps.cases import Bench, small_frame


@pytest.fixture
def small(house: House) -> Bench:
    """Version 1 of ``small`` is champion, and 50 rows wait to be scored."""
    inbox = house.folder / "learnt"
    inbox.mkdir()
    bench = Bench(house.platform, inbox)
    bench.deliver(small_frame())
    assert bench.run("first").promotion is not None
    waiting = house.folder / "waiting"
    waiting.mkdir()
    pd.DataFrame({"id": range(50), "x": [value / 10 for value in range(50)]}).to_csv(waiting / "a.csv", index=False)
    return Bench(house.platform, waiting)


def test_a_declared_dag_copies_validates_and_scores_into_a_table(
    house: House, small: Bench, warehouse: tuple[sa.Engine, str]
):
    engine, schema = warehouse
    scoring = BatchScoring(
        model_name="small",
        key="id",
        data={"path": str(small.inbox)},
        validation={"expectations": [{"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}]},
        output={"conn_id": "warehouse", "table": f"{schema}.predictions"},
    )
    ended = house.run(scoring.dag())
    assert ended.states == dict.fromkeys(["snapshot", "validate", "predict"], "success")
    batch = PredictionBatch.from_dict(ended.result("predict"))
    link = ended.xcoms["predict", "_link_ReportLink"]
    assert link == f"http://airflow.test/mlops/{batch.report_uri}"
    assert "s3cret" not in json.dumps(ended.result("predict"))
    found = pd.read_sql(f"SELECT * FROM {schema}.predictions ORDER BY id", engine)
    assert found["id"].tolist() == list(range(50))
    assert set(found["model_version"]) == {1}
    assert found["prediction"].tolist() == pq.read_table(batch.data_uri)["prediction"].to_pylist()


def _by_hand(small: Bench, **settings: Any) -> DAG:
    data = DatasetSpec(path=str(small.inbox))
    snapshot = snapshot_dataset(data, dataset="small.batch", storage=small.platform.storage)
    with DAG("by_hand", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        BatchPredictOperator(
            task_id="predict",
            snapshot=snapshot.to_dict(),
            prediction={"model_name": "small", "model_uri": "models:/small/{{ params.version }}", "key": "id"},
            params={"version": 1},
            retry_delay=timedelta(0),
            **settings,
        )
    return dag


def test_an_outage_of_mlflow_is_retried_and_a_version_can_be_a_template(
    house: House, small: Bench, monkeypatch: pytest.MonkeyPatch
):
    known = {"conn_type": "mlflow", "host": house.tracking_uri}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": "http://127.0.0.1:9"}))

    def comes_back(_: object) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(known))

    ended = house.run(_by_hand(small, retries=1, on_retry_callback=comes_back))
    assert (ended.states, ended.tries) == ({"predict": "success"}, {"predict": 2})
    assert ended.result("predict")["model_version"] == 1


def test_rows_that_do_not_fit_fail_for_good(house: House, small: Bench):
    pd.DataFrame({"id": [1], "x": ["far"]}).to_csv(small.inbox / "a.csv", index=False)
    ended = house.run(_by_hand(small, retries=2))
    assert (ended.states, ended.tries) == ({"predict": "failed"}, {"predict": 1})
    assert not house.platform.storage.names("inference")


def test_the_same_flow_runs_in_this_process_and_finds_what_it_finished(house: House, small: Bench, tmp_path: Path):
    file = tmp_path / "scoring.yaml"
    file.write_text(f"model_name: small\nkey: id\ndata: {{path: {small.inbox}}}\n")
    where = {"storage_root": house.folder / "storage", "tracking_uri": house.tracking_uri, "run_id": "once"}
    batch = BatchScoring.from_yaml(file).run(**where)
    assert (batch.n_rows, batch.n_logged) == (50, 50)
    assert BatchScoring.from_yaml(file).run(**where) == batch
