from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine import numeric_columns, sample_rows
from airflow_mlops.core.data.snapshot import RowFilter
from airflow_mlops.errors import UnavailableError

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path) -> list[str]:
    paths = []
    for part in range(4):
        numbers = np.arange(part * 5000, part * 5000 + 5000)
        moments = [AT + timedelta(days=part)] * 5000
        paths.append(str(tmp_path / f"{part}.parquet"))
        pq.write_table(pa.table({"n": numbers, "at": moments}), paths[-1], row_group_size=700)
    return paths


def test_a_sample_is_spread_evenly_and_is_the_same_each_time(files):
    sample = sample_rows(files, ["n"], 2000)["n"].to_numpy()
    assert len(sample) == pytest.approx(2000, rel=0.1)
    assert np.bincount(sample // 5000) == pytest.approx([500] * 4, rel=0.2)
    assert sorted(sample_rows(files, ["n"], 2000)["n"]) == sorted(sample)


def test_only_rows_that_count_are_drawn_and_all_of_few(files):
    only = RowFilter(timestamp="at", after=AT, until=AT + timedelta(days=1))
    assert sorted(sample_rows(files, ["n"], 10_000, only=only)["n"]) == list(range(5000, 10_000))
    nobody = RowFilter(among={"n": (-1,)})
    assert sample_rows(files, ["n"], 10, only=nobody).empty


def test_numbers_are_told_from_other_columns_over_all_files(tmp_path):
    one = {"a": [1], "b": [1.5], "c": ["x"], "d": [True], "e": pa.array([1], pa.uint8()), "f": [AT], "g": [1]}
    pq.write_table(pa.table(one), tmp_path / "1.parquet")
    pq.write_table(pa.table({"g": ["text"], "h": [2]}), tmp_path / "2.parquet")
    found = numeric_columns([str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")])
    assert found == {"a": True, "b": True, "c": False, "d": False, "e": True, "f": False, "g": False, "h": True}


def test_a_file_that_is_gone_is_an_outage(tmp_path):
    with pytest.raises(UnavailableError, match="says nothing about the data"):
        numeric_columns([str(tmp_path / "gone.parquet")])
