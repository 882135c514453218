"""Snapshots of what is no file, made by DAGs: a query to PostgreSQL and a function."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import DAG

from airflow_mlops.operators import SnapshotDatasetOperator
from tests.operators.conftest import Ended, House

pytestmark = pytest.mark.airflow

POSTGRES = sa.make_url(os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test"))

LOAD = """
import pandas as pd

def load(window_start, window_end, station):
    return pd.DataFrame({"at": pd.date_range("2026-01-01", periods=40), "station": station, "first": window_start})
"""


@pytest.fixture
def rides(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[sa.Engine, str]]:
    """A table of 2,400 rides, one an hour from 2026-01-01 on, and the connection ``warehouse`` to it."""
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3})
    schema = f"mlops_{uuid.uuid4().hex[:12]}"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            connection.exec_driver_sql(
                f"CREATE TABLE {schema}.rides AS SELECT i, mod(i, 7)::numeric(4, 1) AS km, "
                f"timestamptz '2026-01-01 00:00Z' + i * interval '1 hour' AS at FROM generate_series(0, 2399) i"
            )
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    connection = {
        "conn_type": "postgres",
        "host": POSTGRES.host,
        "port": POSTGRES.port,
        "login": POSTGRES.username,
        "password": POSTGRES.password or "s3cret",
        "schema": POSTGRES.database,
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    yield engine, schema
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


def _snapshot(house: House, data: dict[str, Any]) -> Ended:
    with DAG("sources", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        SnapshotDatasetOperator(task_id="snapshot", dataset="rides", data=data)
    return house.run(dag)


def _query(schema: str, **settings: Any) -> dict[str, Any]:
    return {"query": f"SELECT * FROM {schema}.rides ORDER BY i", "conn_id": "warehouse", "timestamp": "at", **settings}


def test_a_query_s_window_becomes_a_snapshot_once(house: House, rides: tuple[sa.Engine, str]):
    data = _query(rides[1], window_start="2026-01-02", window_end="2026-02-01T00:00:00+00:00")
    ended = _snapshot(house, data)
    assert ended.state == "success"
    snapshot = ended.result("snapshot")
    assert snapshot["n_rows"] == 30 * 24
    assert [column["type"] for column in snapshot["columns"]] == ["int32", "double", "timestamp[us, tz=UTC]"]
    assert "s3cret" not in json.dumps(snapshot)
    assert _snapshot(house, data).result("snapshot")["digest"] == snapshot["digest"]


def test_a_query_that_fails_leaves_nothing_and_is_not_retried(house: House, rides: tuple[sa.Engine, str]):
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
