"""Data that is no file, in DAGs: a query to PostgreSQL, up to a champion, and a function."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from airflow.sdk import DAG

from airflow_mlops import ContinuousTraining
from airflow_mlops.operators import SnapshotDatasetOperator
from tests.operators.conftest import Ended, House
from tests.steps.cases import Left, left_by

LOAD = """
import pandas as pd

def load(window_start, window_end, station):
    return pd.DataFrame({"at": pd.date_range("2026-01-01", periods=40), "station": station, "first": window_start})
"""


@pytest.fixture
def rides(warehouse: tuple[sa.Engine, str]) -> str:
    """A schema with a table of 2,400 rides, one an hour from 2026-01-01 on."""
    engine, schema = warehouse
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {schema}.rides AS SELECT i, mod(i, 7)::numeric(4, 1) AS km, "
            f"timestamptz '2026-01-01 00:00Z' + i * interval '1 hour' AS at FROM generate_series(0, 2399) i"
        )
    return schema


def _snapshot(house: House, data: dict[str, Any]) -> Ended:
    with DAG("sources", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        SnapshotDatasetOperator(task_id="snapshot", dataset="rides", data=data)
    return house.run(dag)


def _query(schema: str, **settings: Any) -> dict[str, Any]:
    return {"query": f"SELECT * FROM {schema}.rides ORDER BY i", "conn_id": "warehouse", "timestamp": "at", **settings}


def test_a_query_s_window_becomes_a_snapshot_once(house: House, rides: str):
    data = _query(rides, window_start="2026-01-02", window_end="2026-02-01T00:00:00+00:00")
    ended = _snapshot(house, data)
    assert ended.state == "success"
    snapshot = ended.result("snapshot")
    assert snapshot["n_rows"] == 30 * 24
    assert [column["type"] for column in snapshot["columns"]] == ["int32", "double", "timestamp[us, tz=UTC]"]
    assert "s3cret" not in json.dumps(snapshot)
    assert _snapshot(house, data).result("snapshot")["digest"] == snapshot["digest"]


def test_a_query_that_fails_leaves_nothing_and_is_not_retried(house: House, rides: str):
    ended = _snapshot(house, _query("nowhere"))
    assert (ended.state, ended.tries) == ("failed", {"snapshot": 1})
    assert not list((house.folder / "storage").rglob("*.parquet"))


def test_a_function_s_rows_become_a_snapshot(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "loads_of_mine.py").write_text(LOAD)
    monkeypatch.syspath_prepend(tmp_path)
    data = {
        "function": "loads_of_mine:load",
        "function_params": {"station": "north"},
        "timestamp": "at",
        "window_start": "2026-01-11",
    }
    ended = _snapshot(house, data)
    assert ended.state == "success"
    snapshot = ended.result("snapshot")
    assert snapshot["n_rows"] == 30
    assert snapshot["source"]["function"] == "loads_of_mine:load"


def _sales(engine: sa.Engine, schema: str) -> pd.DataFrame:
    """Write sales of two places, one an hour, which follow the temperature that was measured last before; return it."""
    rng = np.random.default_rng(0)
    weather = pd.DataFrame(
        {
            "measured_at": pd.date_range("2026-01-01 00:30", periods=240, freq="3h", tz="UTC").repeat(2),
            "place": ["north", "south"] * 240,
            "temperature": rng.normal(15, 8, 480).round(1),
        }
    )
    sales = pd.DataFrame(
        {
            "sold_at": pd.date_range("2026-01-02", periods=600, freq="h", tz="UTC"),
            "place": rng.choice(["north", "south"], 600),
            "price": rng.uniform(1, 3, 600).round(2),
        }
    )
    known = pd.merge_asof(sales, weather, left_on="sold_at", right_on="measured_at", by="place")
    sales["sold"] = (50 + 3 * known["temperature"] - 10 * sales["price"] + rng.normal(0, 2, 600)).round(2)
    sales.to_sql("sales", engine, schema=schema, index=False)
    weather.sample(frac=1, random_state=0).to_sql("weather", engine, schema=schema, index=False)
    return known


def test_a_query_with_the_weather_of_the_moment_joined_ends_with_a_champion(
    house: House, warehouse: tuple[sa.Engine, str]
):
    engine, schema = warehouse
    known = _sales(engine, schema)
    weather = {"query": f"SELECT * FROM {schema}.weather", "conn_id": "warehouse", "timestamp": "measured_at"}
    pipeline = ContinuousTraining(
        model_name="sales",
        data={
            "query": f"SELECT * FROM {schema}.sales ORDER BY sold_at",
            "conn_id": "warehouse",
            "timestamp": "sold_at",
            "feature_tables": [{"name": "weather", "source": weather, "key": ["place"]}],
        },
        validation={"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "sold"}}]},
        training={"target": "sold", "estimator": "sklearn.linear_model.Ridge"},
        serving_check=None,
        gate={"metrics": {"mean_absolute_error": {"value_threshold": 3.0}}, "cold_start": True},
    )
    ended = house.run(pipeline.dag())
    assert ended.state == "success"
    assert left_by(house.platform, "sales") == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert house.platform.storage.names("snapshots") == ["sales", "sales.weather"]
    split = ended.result("split")
    assert "weather_temperature" in {column["name"] for column in split["columns"]}
    learnt = pd.concat(pq.read_table(split[part]["uri"]).to_pandas() for part in ("train", "test"))
    joined = learnt.sort_values("sold_at")["weather_temperature"]
    assert joined.tolist() == known["temperature"].tolist()
    again = house.run(pipeline.dag())
    assert (again.state, again.result("decide")["should_retrain"]) == ("success", False)
