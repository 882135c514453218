"""Watching for data in a running Airflow: a triggerer that is killed, rows of a database, mistakes that get fixed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from airflow_mlops.steps.registry.journal import champion_version_of
from tests.integration.house import House
from tests.steps.cases import small_frame

DAGS = """
import os

from airflow.sdk import DAG

from airflow_mlops import ContinuousTraining
from airflow_mlops.sensors import DriftSensor, NewDataSensor

COMMON = {
    "validation": {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}]},
    "training": {"target": "y", "estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 0.1}},
    "gate": {"metrics": {"mean_absolute_error": {}}, "cold_start": True},
    "serving_check": None,
    "triggers": [{"type": "new_data", "poll_interval_s": 1}],
}
SOURCES = {
    "files": {"path": "${AIRFLOW_HOME}/inbox/files/*.csv"},
    "rides": {"query": "SELECT * FROM rides ORDER BY day", "conn_id": "shop"},
    "trips": {"query": "SELECT * FROM trips ORDER BY day", "conn_id": "shop"},
    "objects": {"path": "s3://lake/in/*.csv", "conn_id": "lake"},
}
for name, data in SOURCES.items():
    globals()[name] = ContinuousTraining(model_name=name, data=data | {"timestamp": "day"}, **COMMON).dag()

with DAG("waiting", schedule=None):
    NewDataSensor(task_id="files", path=f"{os.environ['AIRFLOW_HOME']}/inbox/waiting", poke_interval=1)
    DriftSensor(task_id="drift", model_name="files", poke_interval=1)
"""

KEYS = {"aws_access_key_id": "AKIAOFTHETESTS", "aws_secret_access_key": "s3cr3t", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def lake() -> Iterator[Any]:
    """A real server that speaks S3, without a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield boto3.client("s3", endpoint_url="http://{}:{}".format(*server.get_host_and_port()), **KEYS)
    server.stop()


@pytest.fixture(scope="module")
def shop(house: House) -> Path:
    """A database with a table of rides, and none of trips."""
    path = house.demo.folder / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE rides (day TEXT, x REAL, y REAL)")
    return path


@pytest.fixture(scope="module", autouse=True)
def pipelines(house: House, shop: Path, lake: Any) -> None:
    house.api.post("/connections", {"connection_id": "shop", "conn_type": "sqlite", "host": str(shop)})
    where = {"endpoint_url": lake.meta.endpoint_url, "region_name": "us-east-1"}
    keys = {"login": KEYS["aws_access_key_id"], "password": KEYS["aws_secret_access_key"], "extra": json.dumps(where)}
    house.api.post("/connections", {"connection_id": "lake", "conn_type": "aws", **keys})
    house.deliver(small_frame(), "files/0.csv")
    house.add_dags("watching", DAGS, wait_for=("files", "rides", "trips", "objects", "waiting"))


def _later(number: int) -> pd.DataFrame:
    """Return rows of the days that follow those of the numbers before."""
    return small_frame(60, start=f"{2020 + number}-01-01", seed=number)


def _insert(shop: Path, table: str, frame: pd.DataFrame) -> None:
    with sqlite3.connect(shop) as database:
        frame.assign(day=frame["day"].astype(str)).to_sql(table, database, if_exists="append", index=False)


# A database


def test_new_rows_start_it_once_for_each_arrival(house: House, shop: Path):
    from mlflow import MlflowClient

    first = house.next_run("rides", lambda: _insert(shop, "rides", small_frame()))
    second = house.next_run("rides", lambda: _insert(shop, "rides", _later(1)))
    assert [event["n_rows"] for event in house.events("rides_data")] == [300, 60]
    assert len(house.api.runs("rides")) == 2
    client = MlflowClient(house.demo.mlflow_url)
    experiment = client.get_experiment_by_name("rides")
    assert experiment is not None
    for run in (first, second):
        decision = house.decided(run)
        assert (run["run_type"], decision.trigger, decision.should_retrain) == ("asset_triggered", "new_data", True)
        (trained,) = client.search_runs(
            [experiment.experiment_id],
            f"tags.`mlops.pipeline_run` = '{run['dag_run_id']}' and tags.`mlops.trigger` != ''",
        )
        assert trained.data.tags["mlops.trigger"] == "new_data"


# Mistakes


def test_a_table_that_is_not_there_fails_one_run_and_once_it_is_there_the_watching_goes_on(house: House, shop: Path):
    said = "refuses: no such table: trips. Nothing was kept and the champion stays. Fix data.query, the connection"
    _fails_once_and_goes_on_when_mended(house, "trips", said, lambda: _insert(shop, "trips", small_frame()))


def test_a_bucket_that_is_not_there_fails_one_run_and_once_it_is_there_the_watching_goes_on(house: House, lake: Any):
    def mend() -> None:
        lake.create_bucket(Bucket="lake")
        lake.put_object(Bucket="lake", Key="in/a.csv", Body=small_frame().to_csv(index=False).encode())

    said = "s3://lake/in/: there is no such bucket (NoSuchBucket). Nothing was read. Fix data.path."
    _fails_once_and_goes_on_when_mended(house, "objects", said, mend)


def _fails_once_and_goes_on_when_mended(house: House, dag_id: str, said: str, mend: Callable[[], None]) -> None:
    house.wait(lambda: _is_settled(house, dag_id), "The run that the mistake starts")
    (failed,) = house.api.runs(dag_id)
    (task,) = [task for task in house.api.task_instances(dag_id, failed["dag_run_id"]) if task["state"] == "failed"]
    assert (failed["run_type"], failed["state"]) == ("asset_triggered", "failed")
    assert (task["task_id"], task["try_number"]) == ("snapshot", 1), "a retry would fix nothing"
    assert said in house.task_log(failed, "snapshot")
    mended = house.next_run(dag_id, mend)
    assert house.decided(mended).trigger == "new_data"
    problem, data = house.events(f"{dag_id}_data")
    assert said in problem["problem"]
    assert "problem" not in data
    assert len(house.api.runs(dag_id)) == 2, "however often it was looked meanwhile"


# A triggerer that is killed


@pytest.fixture(scope="module")
def champion(house: House) -> int:
    """The model of the first file, the note of which has been made."""
    house.wait(lambda: _names(house.watermark("files_data")["handled"]) == ["0.csv"], "The note of what was told")
    house.wait(lambda: _is_settled(house, "files"), "The first run")
    version = champion_version_of("files", storage=house.storage)
    assert version == 1
    return version


def test_what_came_before_and_while_it_was_away_is_told_once_and_sensors_go_on(house: House, champion: int):
    waiting = house.api.trigger("waiting", {})
    house.wait(lambda: set(house.api.task_states("waiting", waiting).values()) == {"deferred"}, "The sensors' waiting")
    house.deliver(_later(1), "files/1.csv")
    house.kill_triggerer()  # which has looked at the file once, at most: it counts when two checks find it the same
    house.deliver(_later(2), "files/2.csv")
    house.deliver(small_frame(), "waiting/a.csv")
    asked = pd.DataFrame({"x": np.random.default_rng(7).normal(size=400) + 3})
    house.log(asked, at=datetime.now(UTC), version=champion, predictions=2 * asked["x"], model_name="files")
    run = house.next_run("files", house.demo.start_triggerer)
    assert house.decided(run).should_retrain
    assert _told(house) == Counter({"0.csv": 1, "1.csv": 1, "2.csv": 1})
    house.wait(lambda: set(house.api.task_states("waiting", waiting).values()) == {"success"}, "The sensors")
    assert _names(house.api.result("waiting", waiting, "files")["files"]) == ["a.csv"]
    assert house.api.result("waiting", waiting, "drift")["status"] == "DRIFTED"


def test_a_kill_while_it_tells_loses_nothing_and_trains_once(house: House, champion: int):
    before = [run["dag_run_id"] for run in house.api.runs("files")]
    house.deliver(_later(3), "files/3.csv")
    house.wait(lambda: "3.csv" in _names(house.watermark("files_data")["announced"]), "What it tells", poll_s=0.005)
    house.kill_triggerer()  # before Airflow has stored the event, or right after it
    n_stored = _told(house)["3.csv"]
    house.demo.start_triggerer()
    house.wait(lambda: _told(house)["3.csv"] > n_stored, "What it tells again")
    house.wait(lambda: _is_settled(house, "files"), "What was told")
    runs = [run for run in house.api.runs("files") if run["dag_run_id"] not in before]
    assert {run["state"] for run in runs} == {"success"}
    assert [house.decided(run).should_retrain for run in runs].count(True) == 1
    assert _told(house)["3.csv"] == n_stored + 1


def _is_settled(house: House, dag_id: str) -> bool:
    """Return whether each event has been answered by a run, and all runs have ended."""
    runs = house.api.runs(dag_id)
    paths = [f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents" for run in runs]
    n_answered = sum(len(house.api.get(path)["asset_events"]) for path in paths)
    has_ended = all(run["state"] in ("success", "failed") for run in runs)
    return bool(runs) and has_ended and n_answered == len(house.events(f"{dag_id}_data"))


def _told(house: House) -> Counter[str]:
    return Counter(name for event in house.events("files_data") for name in _names(event["files"]))


def _names(paths: Any) -> list[str]:
    return sorted(Path(path).name for path in paths)
