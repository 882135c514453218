from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine.splits import (
    count_groups,
    late_rows,
    shared_groups,
    shared_rows,
    time_cut,
)
from airflow_mlops.errors import DataError

NAN = float("nan")


def _parquet(folder: Path, name: str = "rows", **columns: Any) -> str:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return str(folder / f"{name}.parquet")


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "Europe/Berlin"), pa.date32()],
)
@pytest.mark.parametrize("spread", [30, 40_000])
def test_the_cut_is_the_quantile_of_the_timestamps(tmp_path, kind, spread):
    whole = pa.array(np.random.default_rng(1).integers(-spread, spread, 500), pa.int32())
    column = whole.cast(pa.date32() if kind == pa.date32() else pa.int64()).cast(kind)
    parquet = _parquet(tmp_path, at=column)
    for fraction in (0.1, 0.2, 0.25, 0.5, 0.8):
        scale, cut = time_cut(parquet, "at", fraction)
        quantile = f"SELECT epoch_{scale.unit}(quantile_disc(\"at\", {1 - fraction})) FROM '{parquet}'"
        assert [(cut,)] == duckdb.sql(quantile).fetchall()


def test_timestamps_that_are_centuries_apart_are_cut_to_the_microsecond(tmp_path):
    moments = [
        datetime.fromisoformat("0001-01-01"),
        *(datetime.fromisoformat("2026-01-01") + timedelta(microseconds=n) for n in range(8)),
        datetime.fromisoformat("9999-01-01"),
    ]
    _, cut = time_cut(_parquet(tmp_path, at=moments), "at", 0.4)
    assert datetime.fromisoformat("1970-01-01") + timedelta(microseconds=cut) == sorted(moments)[5]


def test_a_cut_at_the_first_moment_moves_to_the_second_so_that_something_is_left_to_train_on(tmp_path):
    days = [date(2026, 1, 1)] * 6 + [date(2026, 1, 2)] * 4
    scale, cut = time_cut(_parquet(tmp_path, at=days), "at", 0.5)
    assert scale.low < cut == scale.high


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            pa.array([None, None], pa.timestamp("us")),
            "at least one row that has one; found 2 rows without. Nothing was",
        ),
        (pa.array([], pa.timestamp("us")), "at least one row that has one; found 0 rows"),
        (pa.array([date(2026, 1, 1), None]), "'at' is null in 1 of 2 rows to train on. Nothing was split."),
        (pa.array(["2026-01-01"]), "needs dates or timestamps in 'at'; found type VARCHAR. Nothing was split."),
    ],
)
def test_a_column_that_can_not_be_cut_is_refused(tmp_path, values, message):
    with pytest.raises(DataError) as caught:
        time_cut(_parquet(tmp_path, at=values), "at", 0.2)
    assert message in str(caught.value)


def test_rows_are_shared_when_they_are_equal_nulls_and_nan_included(tmp_path):
    train = _parquet(tmp_path, "train", n=[1.0, NAN, None, 0.0], s=["a", None, None, "z"])
    test = _parquet(tmp_path, "test", n=[1.0, 1.0, NAN, None, -0.0, 2.0], s=["a", "b", None, None, "z", "a"])
    overlap = shared_rows(train, test, ["n", "s"])
    assert (overlap.n_shared, overlap.n_all) == (4, 6)
    assert "n=1.0, s=a" in overlap.examples
    assert len(overlap.examples) == 3


def test_a_column_with_quotes_in_its_name_is_a_column(tmp_path):
    odd = "a\"b'c"
    train = _parquet(tmp_path, "train", **{odd: [1, 2]})
    assert shared_rows(train, train, [odd]).n_shared == 2
    assert shared_groups(train, train, [odd]).n_shared == 2
    assert count_groups(train, [odd]) == 2


def test_groups_of_two_columns_are_shared_when_both_are_equal(tmp_path):
    train = _parquet(tmp_path, "train", a=[1, 1, 2], b=["x", "x", "y"])
    test = _parquet(tmp_path, "test", a=[1, 1, 2], b=["x", "y", "x"])
    overlap = shared_groups(train, test, ["a", "b"])
    assert (overlap.n_shared, overlap.n_all, overlap.examples) == (1, 3, ("1, x",))


def test_a_value_is_late_when_it_became_known_after_the_prediction(tmp_path):
    day = [datetime.fromisoformat(f"2026-01-0{n}") for n in (1, 2, 3, 4)]
    parts = [
        _parquet(tmp_path, "train", at=[day[1], day[1], None], x=[1, None, 3], known=[day[2], day[3], day[0]]),
        _parquet(tmp_path, "test", at=[day[1], day[2], day[2]], x=[4, 5, 6], known=[day[1], None, day[0]]),
    ]
    n_without, late = late_rows(parts, known_at={"x": "known"}, prediction_time="at")
    assert n_without == 1
    assert (late["x"].n_values, late["x"].n_late, late["x"].n_unknown) == (5, 1, 1)
    assert late["x"].examples == ("known 2026-01-03 00:00:00, predicted 2026-01-02 00:00:00",)


def test_a_file_that_is_gone_is_no_statement_about_the_data(tmp_path):
    with pytest.raises(DataError, match="The split can't be read"):
        shared_rows(str(tmp_path / "gone.parquet"), str(tmp_path / "gone.parquet"), ["a"])
