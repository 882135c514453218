"""The expressions are Ibis's, not DuckDB's: the same ones, compiled for PostgreSQL, give the same figures there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from airflow_mlops.adapters.ibis_rules._columns import Rows
from airflow_mlops.adapters.ibis_rules._engine import connect, read_schema
from airflow_mlops.adapters.ibis_rules._question import Question
from airflow_mlops.adapters.ibis_rules.checks import _ask

POSTGRES = os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test")
VALUES = {
    "x": [1.0, 2.0, float("nan"), None, 9e9, float("inf")],
    "s": ["a", "b", "", "cc", None, "ä"],
    "i": [1, 2, 2, 3, 4, None],
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[sa.Connection]:
    """A table ``rows`` that goes away with the connection."""
    engine = sa.create_engine(POSTGRES, connect_args={"connect_timeout": 3}, poolclass=sa.NullPool)
    try:
        connection = engine.connect()
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    with connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE rows (x double precision, s text, i bigint)")
        for row in zip(*VALUES.values(), strict=True):
            connection.exec_driver_sql("INSERT INTO rows VALUES (%s, %s, %s)", row)
        yield connection


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table({"x": VALUES["x"], "s": VALUES["s"], "i": pa.array(VALUES["i"], pa.int64())}), path)
    return str(path)


@pytest.mark.parametrize(
    ("rule", "kwargs"),
    [
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
        ("expect_column_values_to_not_be_null", {"column": "x"}),
        ("expect_column_values_to_be_null", {"column": "s"}),
        ("expect_column_values_to_be_between", {"column": "x", "min_value": 0, "max_value": 5}),
        ("expect_column_values_to_be_between", {"column": "i", "min_value": 2, "strict_min": True}),
        ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["a", "b"]}),
        ("expect_column_values_to_not_be_in_set", {"column": "i", "value_set": [2, 3]}),
        ("expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "max_value": 1}),
        ("expect_column_max_to_be_between", {"column": "i", "min_value": 0}),
        ("expect_column_sum_to_be_between", {"column": "i", "min_value": 0}),
        ("expect_column_mean_to_be_between", {"column": "i", "min_value": 0}),
        ("expect_column_stdev_to_be_between", {"column": "i", "min_value": 0}),
    ],
)
def test_a_rule_gives_the_same_figures_on_postgresql(
    rule: str, kwargs: dict[str, Any], parquet: str, postgres: sa.Connection
):
    rows = Rows.of(read_schema(parquet))
    with connect(parquet) as engine:
        question = _ask(rows, {"type": rule, "kwargs": kwargs}, engine)
        assert isinstance(question, Question)
        asked = rows.table.aggregate(**{f"a{index}": each for index, each in enumerate(question.aggregates)})
        here = engine.fetch_one(asked)
    there = postgres.exec_driver_sql(str(ibis.to_sql(asked, dialect="postgres")).replace("%", "%%")).fetchone()
    assert there is not None
    assert [float(figure) for figure in there] == pytest.approx([float(figure) for figure in here])
