"""What a failure means to Airflow: an outage is tried again, a verdict and a mistake are not."""

from __future__ import annotations

import json
import socket
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops import ContinuousTraining, operators
from airflow_mlops.errors import MlopsError, SpecError, UnavailableError
from tests.operators.conftest import House
from tests.steps.cases import small_frame, small_settings


def _context() -> Any:
    return {
        "dag_run": SimpleNamespace(dag_id="d", run_id="r", run_type="manual", triggering_user_name="ada"),
        "ti": SimpleNamespace(try_number=1),
    }


def _dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_an_outage_is_raised_as_it_is_so_that_airflow_retries(house: House, monkeypatch: pytest.MonkeyPatch):
    url = _dead_url()
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", "host": url}))
    operator = operators.RollbackModelOperator(task_id="rollback", model_name="small", reason="because")
    with pytest.raises(UnavailableError, match=f"MLflow at {url} does not answer"):
        operator.execute(_context())


def test_a_refusal_fails_for_good_with_its_whole_message(house: House):
    operator = operators.RollbackModelOperator(task_id="rollback", model_name="small", reason="because")
    with pytest.raises(AirflowFailException) as caught:
        operator.execute(_context())
    assert isinstance(caught.value.__cause__, MlopsError)
    assert str(caught.value) == str(caught.value.__cause__)
    assert "small not rolled back: no healthy version was champion before" in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (
            operators.RollbackModelOperator(task_id="rollback", model_name="m", reason="why", to_version="two"),
            "to_version 'two' is no version number. Nothing was changed.",
        ),
        (
            operators.SnapshotDatasetOperator(task_id="snapshot", dataset="d", data={"pth": "x"}),
            "pth: unknown key. Did you mean 'path'?",
        ),
        (
            operators.TrainModelOperator(
                task_id="train", model_name="m", split={}, training={"target": "y"}, hyperparameters="[1, 2]"
            ),
            "hyperparameters: expected a JSON object, found '[1, 2]'",
        ),
        (
            operators.PromoteModelOperator(
                task_id="promote", version={"kind": "Blessing", "schema_version": 1}, blessing={}
            ),
            "Expected a ModelVersion document, found one of kind 'Blessing'.",
        ),
    ],
)
def test_a_mistake_in_the_dag_fails_for_good_and_is_named(house: House, operator: Any, words: str):
    with pytest.raises(AirflowFailException) as caught:
        operator.execute(_context())
    assert words in str(caught.value)
    assert isinstance(caught.value.__cause__, (SpecError, MlopsError))


def test_a_storage_that_comes_back_is_found_by_the_second_try(house: House):
    inbox = house.folder / "data.csv"
    small_frame().to_csv(inbox, index=False)
    blocked = house.folder / "storage"
    blocked.write_text("a file where the folder should be")
    with DAG(dag_id="an_outage", schedule=None) as dag:
        operators.SnapshotDatasetOperator(
            task_id="snapshot",
            dataset="small",
            data={"path": str(inbox)},
            retries=1,
            retry_delay=timedelta(0),
            on_retry_callback=lambda _: blocked.unlink(),
        )
    ended = house.run(dag)
    assert ended.state == "success"
    assert ended.tries == {"snapshot": 2}
    assert ended.result("snapshot")["n_rows"] == 300


def test_a_dag_that_needs_an_extra_fails_in_its_first_task_before_it_reads_anything(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    settings = small_settings(house.folder / "inbox") | {"conversion": {}}
    dag = ContinuousTraining.parse(settings).dag()
    monkeypatch.setitem(sys.modules, "skl2onnx", None)  # what Python itself does for a module that is not to be found
    with pytest.raises(AirflowFailException) as caught:
        dag.get_task("snapshot").execute(_context())
    assert str(caught.value) == (
        f"conversion.format: onnx needs 'skl2onnx', which {sys.executable} does not have. Nothing was changed. "
        f"Install it there: pip install 'airflow-mlops[onnx]'"
    )
