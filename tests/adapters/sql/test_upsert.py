"""Rows that are written by key, into SQLite; PostgreSQL is written in the tests of the step."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from airflow_mlops.adapters.sql import upsert_rows
from airflow_mlops.errors import SpecError, UnavailableError

ROW = {
    "id": 1,
    "name": "Ada",
    "share": 0.5,
    "price": Decimal("1.25"),
    "is_new": True,
    "day": date(2026, 1, 31),
    "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
}


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{tmp_path}/out.db", poolclass=sa.NullPool)


def _write(engine: sa.Engine, *rows: dict[str, Any], **settings: Any) -> int:
    table = pa.Table.from_pylist(list(rows))
    options = {"schema": table.schema, "key": ["id"], "newest": "at", **settings}
    return upsert_rows(engine, "t", table.to_batches(), **options)


def _read(engine: sa.Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM t ORDER BY id").mappings()]


def test_a_table_is_made_with_the_key_and_every_kind_of_value(engine: sa.Engine):
    assert _write(engine, ROW) == 1
    (row,) = _read(engine)
    assert (row["id"], row["name"], row["share"], row["price"], row["is_new"]) == (1, "Ada", 0.5, 1.25, 1)
    assert (row["day"], row["at"]) == ("2026-01-31", "2026-01-31 12:00:00.000000")
    assert sa.inspect(engine).get_pk_constraint("t")["constrained_columns"] == ["id"]


def test_a_newer_row_replaces_an_older_one_and_never_the_other_way_round(engine: sa.Engine):
    newer = {**ROW, "name": "Bo", "at": datetime(2026, 2, 1, tzinfo=UTC)}
    for rows in ((ROW, {**ROW, "id": 2}), (newer,), (ROW,)):
        _write(engine, *rows)
    assert [row["name"] for row in _read(engine)] == ["Bo", "Ada"]


def test_a_failure_in_the_middle_leaves_the_table_as_it_was(engine: sa.Engine):
    _write(engine, ROW)
    table = pa.Table.from_pylist([{**ROW, "name": "Bo", "at": datetime(2027, 1, 1, tzinfo=UTC)}])

    def breaks() -> Any:
        yield from table.to_batches()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        upsert_rows(engine, "t", breaks(), schema=table.schema, key=["id"], newest="at")
    assert [row["name"] for row in _read(engine)] == ["Ada"]


def test_a_table_without_the_columns_is_refused(engine: sa.Engine):
    _write(engine, ROW)
    with pytest.raises(SpecError, match=r"refuses the rows: .*The table is as it was\. Fix the table"):
        _write(engine, {**ROW, "more": 1})


def test_a_type_that_sql_has_no_column_for_is_refused(engine: sa.Engine):
    with pytest.raises(SpecError, match=r"Column 'tags' is of type list<.*Leave it out of `keep`"):
        _write(engine, {**ROW, "tags": ["a"]})


def test_a_database_that_can_not_be_opened_is_an_outage(tmp_path: Path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/nowhere/out.db", poolclass=sa.NullPool)
    with pytest.raises(UnavailableError, match=r"does not answer: .*The table is as it was"):
        _write(engine, ROW)
