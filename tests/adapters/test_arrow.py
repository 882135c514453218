from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.arrow import count_columns, is_numeric, mask_batches, read_column, sample_frame
from airflow_mlops.core.profile import OTHER, ColumnProfile


def _file(tmp_path: Path, columns: dict, row_group_size: int = 2) -> str:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def _counts(path: str, profile: ColumnProfile, **settings) -> dict[str, int]:
    _, (found,) = count_columns(path, [profile], **settings)
    return {name: count for name, count in found.counts.items() if count}


def test_numbers_are_counted_over_all_row_groups(tmp_path):
    path = _file(tmp_path, {"n": [1.0, 2.0, None, float("nan"), 9.0, 0.0, 2.0]})
    found = _counts(path, ColumnProfile(name="n", edges=(1.0, 2.0, 3.0)))
    assert found == {"null": 1, "nan": 1, "below": 1, "above": 1, "[1, 2)": 1, "[2, 3)": 2}


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.decimal128(25, 2), pa.uint8()])
def test_numbers_of_every_kind_are_counted(tmp_path, kind):
    path = _file(tmp_path, {"n": pa.array([1, 2, None]).cast(kind)})
    assert _counts(path, ColumnProfile(name="n", edges=(1.0, 2.0))) == {"null": 1, "[1, 2)": 2}
    assert is_numeric(str(kind))


@pytest.mark.parametrize("kind", [pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.list_(pa.int64())])
def test_other_types_are_no_numbers(kind):
    assert not is_numeric(str(kind))


def test_categories_are_counted_by_value_and_null_is_not_the_text_null(tmp_path):
    path = _file(tmp_path, {"s": ["a", "b", "a", None, "null", "a"]})
    assert _counts(path, ColumnProfile(name="s")) == {"=a": 3, "=b": 1, "=null": 1, "null": 1}


def test_truth_values_are_categories(tmp_path):
    assert _counts(_file(tmp_path, {"b": [True, False, True]}), ColumnProfile(name="b")) == {"=true": 2, "=false": 1}


def test_categories_that_the_reference_did_not_have_go_in_one_bin(tmp_path):
    path = _file(tmp_path, {"s": ["a", "new", "newer", None]})
    reference = ColumnProfile(name="s", counts={"=a": 5, "=gone": 1})
    assert _counts(path, reference) == {"=a": 1, "null": 1, OTHER: 2}


def test_only_the_most_frequent_categories_of_a_reference_have_bins_of_their_own(tmp_path):
    values = [f"{i:03d}" for i in range(150) for _ in range(2 if i < 100 else 1)]
    found = _counts(_file(tmp_path, {"s": values}, row_group_size=40), ColumnProfile(name="s"))
    assert found.pop(OTHER) == 50
    assert found == {f"={i:03d}": 2 for i in range(100)}


@pytest.mark.parametrize(
    "moments",
    [
        [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), None],
        [
            datetime.fromisoformat("2026-01-01"),
            datetime.fromisoformat("2026-01-02"),
            datetime.fromisoformat("2026-01-03"),
            None,
        ],
    ],
)
def test_only_rows_after_a_moment_count(tmp_path, moments):
    path = _file(tmp_path, {"at": moments, "s": ["a", "b", "c", "d"]})
    n_rows, (found,) = count_columns(
        path, [ColumnProfile(name="s")], after=("at", datetime.fromisoformat("2026-01-02"))
    )
    assert (n_rows, found.counts) == (1, {"=c": 1})


def test_all_columns_are_counted_in_one_pass_in_the_order_that_was_asked_for(tmp_path):
    path = _file(tmp_path, {"a": ["x", "y", "y"], "b": [1, 2, 3]})
    n_rows, found = count_columns(path, [ColumnProfile(name="b", edges=(1.0, 3.0)), ColumnProfile(name="a")])
    assert n_rows == 3
    assert [(column.name, column.n_rows) for column in found] == [("b", 3), ("a", 3)]


@pytest.mark.parametrize("max_rows", [1, 3, 7, 10, 100])
def test_a_sample_has_at_most_the_rows_that_were_asked_for_spread_over_the_file(tmp_path, max_rows):
    path = _file(tmp_path, {"n": list(range(10)), "other": ["x"] * 10}, row_group_size=3)
    sample = sample_frame(path, ["n"], max_rows)
    assert list(sample.columns) == ["n"]
    assert 0 < len(sample) <= max_rows
    steps = set(np.diff(sample["n"]))
    assert len(steps) <= 1
    assert sample["n"].max() >= 10 - (steps.pop() if steps else 10)


def test_a_sample_can_be_of_the_rows_after_a_moment(tmp_path):
    path = _file(
        tmp_path, {"at": [datetime.fromisoformat(f"2026-01-{day:02d}") for day in (1, 2, 3, 4)], "n": [1, 2, 3, 4]}
    )
    assert sample_frame(path, ["n"], 10, after=("at", datetime.fromisoformat("2026-01-02")))["n"].tolist() == [3, 4]


def test_batches_are_parted_without_losing_a_row():
    batches = pa.table({"n": list(range(10))}).to_batches(max_chunksize=3)
    parts = list(mask_batches(batches, lambda batch: np.array(batch.column("n")) % 4 == 0))
    assert [n for _, held in parts for n in held["n"].to_pylist()] == [0, 4, 8]
    assert [n for rest, _ in parts for n in rest["n"].to_pylist()] == [1, 2, 3, 5, 6, 7, 9]


def test_one_column_is_read_as_an_array(tmp_path):
    found = read_column(_file(tmp_path, {"n": [1.5, 2.5], "s": ["a", "b"]}), "n")
    assert found.dtype == np.float64
    assert found.tolist() == [1.5, 2.5]
