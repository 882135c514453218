from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.duckdb_engine.joins.splits import (
    count_groups,
    distinct_fraction,
    late_rows,
    row_ids,
    shared_groups,
    shared_rows,
    time_cut,
)
from airflow_mlops.errors import DataError, UnavailableError

NAN = float("nan")
NAMES_OF_OURS = [
    *("bin", "n", "rows", "dataset", "features", "hash", "value", "position", "key", "moment", "first", "example"),
    *("k", "a", "h", "d", "f", "f0", "shared", "held_out", "held_hashes", "count", "epoch_us"),
]


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
    with pytest.raises(UnavailableError, match="The split can't be read now"):
        shared_rows(str(tmp_path / "gone.parquet"), str(tmp_path / "gone.parquet"), ["a"])


@pytest.mark.parametrize("column", NAMES_OF_OURS)
def test_a_column_may_have_any_name_that_the_engine_has_a_use_for(tmp_path, column):
    n = 100
    moments = [datetime.fromisoformat("2026-01-01") + timedelta(hours=i) for i in range(n)]
    rows = _parquet(tmp_path, "all", t=moments, **{column: list(range(n))})
    assert time_cut(rows, "t", 0.2) == time_cut(_parquet(tmp_path, "plain", t=moments, x=list(range(n))), "t", 0.2)
    assert time_cut(_parquet(tmp_path, "named", **{column: moments, "x": [0] * n}), column, 0.2)[0].n_rows == n
    test = _parquet(tmp_path, "test", t=moments[:3], **{column: [7, 8, 1000]})
    assert shared_rows(rows, test, [column]).examples == (f"{column}=7", f"{column}=8")
    assert shared_groups(rows, test, [column]).examples == ("7", "8")
    assert count_groups(rows, [column]) == n
    assert row_ids([rows, test], ["t", column]) == ()
    assert row_ids([rows], ["t", column]) == (column,)
    known = _parquet(tmp_path, "known", t=moments[:2], **{column: [moments[0], moments[9]]})
    n_without, late = late_rows([known], known_at={column: column}, prediction_time="t")
    assert (n_without, late[column].n_late) == (0, 1)


def test_integers_and_texts_that_every_row_has_its_own_of_are_ids_whatever_the_part(tmp_path):
    n = 3000
    columns = {
        "number": np.arange(n),
        "text": [f"row {i}" for i in range(n)],
        "small": np.arange(n).astype(np.uint16),
        "float": np.arange(n) + 0.5,
        "twice": np.arange(n) // 2,
        "once_twice": [*range(n - 1), 0],
        "gap": [*range(n - 1), None],
        "moment": pa.array(np.arange(n), pa.timestamp("s")),
    }
    whole = _parquet(tmp_path, **columns)
    assert row_ids([whole], list(columns)) == ("number", "text", "small")
    assert row_ids([whole, whole], list(columns)) == ()
    assert row_ids([_parquet(tmp_path, "none", number=pa.array([], pa.int64()))], ["number"]) == ()


def test_different_rows_are_counted_over_all_parts(tmp_path):
    parts = [_parquet(tmp_path, "a", x=[1, 1, None], y=["a", "a", None]), _parquet(tmp_path, "b", x=[1], y=["b"])]
    assert distinct_fraction(parts, ["x", "y"]) == 0.75
    assert distinct_fraction([_parquet(tmp_path, "c", x=pa.array([], pa.int64()))], ["x"]) == 0
