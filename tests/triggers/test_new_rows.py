"""New rows of a query: a real PostgreSQL and a real SQLite."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk.module_loading import import_string

from airflow_mlops.errors import DataError, SpecError, UnavailableError
from airflow_mlops.hooks import watch
from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.hooks.watch import SqlRows
from airflow_mlops.triggers.data import NewRowsTrigger
from tests.processes import wait_until
from tests.triggers.test_new_files import _until


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/shop.db"}))
    connection = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    connection.execute("CREATE TABLE rides (at TEXT, km REAL)")
    return connection


def _rows(conn_id: str, query: str = "SELECT * FROM rides ORDER BY at", **settings: Any) -> SqlRows:
    return SqlRows(query, timestamp="at", conn_id=conn_id, **settings)


def _told(source: SqlRows, handled: dict[str, str]) -> Mapping[str, Any] | None:
    """Return the event of a check, if there is one, and note it as handled."""
    stamps, event = source.news(handled)
    handled.update(stamps)
    return event or None


def test_it_is_built_again_from_what_it_serializes():
    trigger = NewRowsTrigger(query="SELECT 1", timestamp="at", conn_id="shop", watermark="w", poll_interval_s=5.0)
    path, settings = trigger.serialize()
    assert import_string(path)(**settings).serialize() == trigger.serialize()


def test_rows_that_are_later_or_as_late_as_the_last_are_new_and_late_comers_are_not(shop: sqlite3.Connection):
    source, handled = _rows("shop"), {}
    assert _told(source, handled) is None
    shop.execute("INSERT INTO rides VALUES ('2026-01-01 10:00', 1), ('2026-01-02 10:00', 1)")
    assert _told(source, handled) == {"n_rows": 2, "until": "2026-01-02T10:00:00+00:00"}
    assert _told(source, handled) is None
    shop.execute("INSERT INTO rides VALUES ('2026-01-01 11:00', 1)")
    assert _told(source, handled) is None
    shop.execute("INSERT INTO rides VALUES ('2026-01-02T12:00:00+02:00', 1)")  # the same time, in another zone
    assert _told(source, handled) == {"n_rows": 1, "until": "2026-01-02T10:00:00+00:00"}
    shop.execute("INSERT INTO rides VALUES ('2026-01-03', 1), ('2026-01-02 10:00:00.500', 1), (NULL, 1)")
    assert _told(source, handled) == {"n_rows": 2, "until": "2026-01-03T00:00:00+00:00"}
    shop.execute("DELETE FROM rides WHERE at = '2026-01-03'")
    assert _told(source, handled) is None


def test_a_moment_in_the_future_hides_nothing_and_counts_once_it_has_come(shop: sqlite3.Connection):
    source, handled = _rows("shop"), {}
    soon = datetime.now(UTC) + timedelta(seconds=2)
    shop.execute("INSERT INTO rides VALUES ('2026-01-01', 1), ('2999-01-01', 1), (?, 1)", [soon.isoformat()])
    assert _told(source, handled)["until"] == "2026-01-01T00:00:00+00:00"
    shop.execute("INSERT INTO rides VALUES ('2026-01-02', 1)")
    assert _told(source, handled)["n_rows"] == 1
    wait_until(lambda: _told(source, handled))
    assert handled["at"].startswith(f"{soon:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize(
    ("kind", "first", "second", "until"),
    [
        ("timestamptz", "2026-01-01 12:00+02", "2026-01-01 10:00:00.000001Z", "2026-01-01T10:00:00.000001+00:00"),
        ("timestamp", "2026-01-01 12:00", "2026-01-01 12:01", "2026-01-01T12:01:00+00:00"),
        ("date", "2026-01-01", "2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("date", "2026-01-02", "2026-01-02", "2026-01-02T00:00:00+00:00"),
    ],
)
def test_postgresql_s_moments_are_in_utc_whatever_zone_the_server_is_in(
    warehouse: tuple[sa.Engine, str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    first: str,
    second: str,
    until: str,
):
    engine, schema = warehouse

    def insert(moment: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'Asia/Kathmandu'")
            connection.exec_driver_sql(f"INSERT INTO {schema}.rides VALUES ('{moment}'), (NULL), ('infinity')")

    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {schema}.rides (at {kind})")
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")  # libpq's: as if the server were there
    source, handled = _rows("warehouse", f"SELECT * FROM {schema}.rides ORDER BY at;"), {}
    insert(first)
    assert _told(source, handled) is not None
    assert _told(source, handled) is None
    insert(second)
    assert _told(source, handled) == {"n_rows": 1, "until": until}
    assert _told(source, handled) is None


def test_postgresql_finds_what_is_new_by_the_index_in_spite_of_the_query_s_order(warehouse: tuple[sa.Engine, str]):
    from airflow_mlops.adapters.sql.window import newest_within
    from airflow_mlops.core.data.snapshot import Window

    engine, schema = warehouse
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {schema}.rides AS SELECT i, timestamptz '2026-01-01Z' + i * interval '1 min' AS at "
            f"FROM generate_series(0, 50000) i"
        )
        connection.exec_driver_sql(f"CREATE INDEX ON {schema}.rides (at)")
        connection.exec_driver_sql(f"ANALYZE {schema}.rides")
        window = Window(start=datetime(2026, 2, 4, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))
        query = newest_within(f"SELECT * FROM {schema}.rides ORDER BY at, i", "at", window, "postgresql")
        text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}"))
    assert "Index" in plan, plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("SELECT km FROM rides", DataError, r"does not give the timestamp column 'at'.*Columns: .*km"),
        ("SELECT * FROM nowhere", SpecError, "no such table: nowhere"),
        ("SELECT 5 AS at", DataError, "as something else than a timestamp or a date"),
    ],
)
def test_what_can_not_be_watched_is_said(shop: sqlite3.Connection, query: str, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        _rows("shop", query).news({})


def test_a_number_is_no_moment_in_postgresql(warehouse: tuple[sa.Engine, str]):
    with pytest.raises(DataError, match="as something else than a timestamp or a date"):
        _rows("warehouse", "SELECT 5 AS at").news({})


def test_a_mistake_is_told_once_by_the_trigger_and_the_rows_once_it_is_mended(shop: sqlite3.Connection):
    shop.execute("ALTER TABLE rides RENAME TO trips")
    shop.execute("INSERT INTO trips VALUES ('2026-01-01', 1)")
    settings = {"query": "SELECT * FROM rides", "timestamp": "at", "conn_id": "shop", "watermark": "w"}

    async def tell() -> list[Any]:
        events = NewRowsTrigger(**settings, poll_interval_s=0.001).run()
        problem = await asyncio.wait_for(anext(events), 60)
        more = asyncio.ensure_future(anext(events))
        await _until(get_watermark("w").handled)
        assert not more.done()
        shop.execute("ALTER TABLE trips RENAME TO rides")
        return [problem.payload, (await asyncio.wait_for(more, 60)).payload]

    problem, event = asyncio.run(tell())
    assert "no such table: rides" in problem["problem"]
    assert event == {"n_rows": 1, "until": "2026-01-01T00:00:00+00:00"}


def test_a_database_that_is_away_fails_once_for_all_who_ask_and_is_asked_again_later(
    shop: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from airflow_mlops.adapters.sql import newest

    asked: list[str] = []
    ask = newest.newest_rows
    monkeypatch.setattr(newest, "newest_rows", lambda *a, **k: asked.append(a[1]) or ask(*a, **k))
    shop.execute("INSERT INTO rides VALUES ('2026-01-01', 1)")
    (tmp_path / "shop.db").rename(tmp_path / "away.db")
    (tmp_path / "shop.db").mkdir()
    for query in ("SELECT * FROM rides", "SELECT at FROM rides", "SELECT at, km FROM rides"):
        with pytest.raises(UnavailableError, match="does not answer: unable to open database file"):
            _rows("shop", query, fresh_s=600.0).news({})
    assert asked == ["SELECT * FROM rides"]
    (tmp_path / "shop.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "shop.db")
    watch._connection("sql", "shop")._failed = (0.0, "")  # later
    assert _rows("shop", fresh_s=600.0).news({})[1]["n_rows"] == 1
