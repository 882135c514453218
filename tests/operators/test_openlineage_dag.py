"""What OpenLineage is told of a run, by Airflow's own provider and in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import DAG, Asset
from airflow.sdk.listener import get_listener_manager

from airflow_mlops import ContinuousTraining, model_asset
from airflow_mlops.operators import RollbackModelOperator, SnapshotDatasetOperator
from tests.operators.cases import halting_checks
from tests.operators.conftest import House
from tests.steps.cases import Bench, small_frame, small_settings


class Events:
    """What the provider has written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, task_id: str, kind: str = "COMPLETE") -> dict[str, Any]:
        """Return the event of a task."""
        found = [json.loads(line) for line in self.path.read_text().splitlines()]
        (event,) = [each for each in found if each["job"]["name"].endswith(f".{task_id}") and each["eventType"] == kind]
        return event

    def graph(self, task_id: str, kind: str = "COMPLETE") -> tuple[list[str], list[str]]:
        """Return the names of what a task read and wrote."""
        event = self.of(task_id, kind)
        return tuple([_name(each) for each in event[side]] for side in ("inputs", "outputs"))  # type: ignore[return-value]


def _name(dataset: dict[str, Any]) -> str:
    return f"{dataset['namespace']} {dataset['name']}"


@pytest.fixture
def events(tmp_path: Path, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Events]:
    """Configure the provider, and let it listen, as it does from the start where it is configured."""
    from airflow.providers.openlineage import conf
    from airflow.providers.openlineage.plugins.listener import OpenLineageListener

    def forget() -> None:
        for each in vars(conf).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()

    path = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(path), "append": True}
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD", "True")
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT", "120")
    forget()
    manager = get_listener_manager()

    def listeners() -> list[Any]:
        return [each for each in manager.pm.get_plugins() if isinstance(each, OpenLineageListener)]

    if not listeners():  # what was loaded before this test was told that there is no configuration
        manager.add_listener(OpenLineageListener())
    yield Events(path)
    for each in listeners():
        manager.pm.unregister(each)
    monkeypatch.undo()
    forget()


def test_a_run_is_one_graph_from_the_file_to_the_champion(house: House, bench: Bench, events: Events):
    assert house.run(ContinuousTraining(**small_settings(bench.inbox)).dag()).state == "success"
    split = [f"mlops small/split/{part}" for part in ("train", "test")]
    assert events.graph("snapshot") == ([f"file {bench.inbox}"], ["mlops small/snapshot"])
    assert events.graph("validate") == (["mlops small/snapshot"], [])
    assert events.graph("split") == (["mlops small/snapshot"], split)
    assert events.graph("train") == (split[:1], ["mlmodel small/challenger"])
    assert events.graph("evaluate") == (["mlmodel small/challenger", *split], [])
    assert events.graph("register") == (["mlmodel small/challenger"], ["mlmodel small/registered"])
    assert events.graph("promote") == (["mlmodel small/registered"], ["mlmodel small"])
    assert events.graph("promote", "START") == ([], ["mlmodel small"])  # the asset, by its converter

    (snapshot,) = events.of("snapshot")["outputs"]
    assert [field["name"] for field in snapshot["facets"]["schema"]["fields"]] == ["day", "x", "y"]
    assert snapshot["facets"]["version"]["datasetVersion"].startswith("sha256:")
    assert snapshot["outputFacets"]["outputStatistics"]["rowCount"] == 300
    (checked,) = events.of("validate")["inputs"]
    (assertion,) = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["assertion"], assertion["column"]) == ("expect_column_values_to_not_be_null", "y")
    assert assertion["success"] is True
    (champion,) = events.of("promote")["outputs"]
    assert champion["facets"]["version"]["datasetVersion"] == "1"
    assert champion["facets"]["dataSource"]["uri"] == "models:/small/1"


def test_what_fails_at_the_validation_says_which_checks_the_data_broke(house: House, bench: Bench, events: Events):
    assert house.run(halting_checks(bench)).state == "failed"
    (checked,) = events.of("validate", "FAIL")["inputs"]
    (assertion,) = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["column"], assertion["success"], assertion["severity"]) == ("y", False, "error")


def test_a_query_names_the_tables_that_it_read(house: House, warehouse: tuple[sa.Engine, str], events: Events):
    engine, schema = warehouse
    small_frame().to_sql("days", engine, schema=schema, index=False)
    data = {"query": f"SELECT day, x, y FROM {schema}.days", "conn_id": "warehouse", "timestamp": "day"}
    with DAG(dag_id="table", schedule=None) as dag:
        SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=data)
    assert house.run(dag).state == "success"
    read, written = events.graph("snapshot")
    assert written == ["mlops small/snapshot"]
    (table,) = read
    assert table.startswith("postgres://")
    assert table.endswith(f".{schema}.days")


def test_what_the_dags_author_wrote_down_beside_is_told_too(house: House, bench: Bench, events: Events):
    with DAG(dag_id="beside", schedule=None) as dag:
        SnapshotDatasetOperator(
            task_id="snapshot",
            dataset="small",
            data=small_settings(bench.inbox)["data"],
            inlets=[Asset("s3://lake/raw")],
            outlets=[model_asset("small"), Asset("no converter knows this")],
        )
    assert house.run(dag).state == "success"
    read, written = events.graph("snapshot")
    assert read == [f"file {bench.inbox}", "s3://lake raw"]
    assert written == ["mlops small/snapshot", "mlmodel small"]


def test_a_task_that_never_had_a_result_still_says_what_is_known(house: House, bench: Bench, events: Events):
    with DAG(dag_id="undone", schedule=None) as dag:
        RollbackModelOperator(task_id="rollback", model_name="small", reason="why", outlets=[model_asset("small")])
    assert house.run(dag).state == "failed"
    assert events.graph("rollback", "FAIL") == ([], ["mlmodel small"])
