from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.arrow import (
    moments,
    n_null,
    part_rows,
    read_blocks,
    read_column,
    sample_frame,
    schema_of,
    stage_rows,
    texts,
)


def _file(tmp_path: Path, columns: dict, row_group_size: int = 2) -> str:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


@pytest.mark.parametrize("max_rows", [1, 3, 7, 10, 100])
def test_a_sample_has_the_rows_that_were_asked_for_or_all(tmp_path, max_rows):
    path = _file(tmp_path, {"n": list(range(10)), "other": ["x"] * 10}, row_group_size=3)
    sample = sample_frame(path, ["n"], max_rows)
    assert list(sample.columns) == ["n"]
    assert len(sample) == min(max_rows, 10)
    assert sample["n"].is_monotonic_increasing
    assert sample_frame(path, ["n"], max_rows).equals(sample)


def test_a_sample_is_spread_over_the_file_and_has_no_fixed_step(tmp_path):
    path = _file(tmp_path, {"n": list(range(10_000))}, row_group_size=500)
    drawn = sample_frame(path, ["n"], 1000)["n"]
    assert set((drawn // 500).value_counts()) == {50}
    assert drawn.diff().nunique() > 10


def test_a_sample_can_be_of_the_rows_after_a_moment(tmp_path):
    path = _file(
        tmp_path, {"at": [datetime.fromisoformat(f"2026-01-{day:02d}") for day in (1, 2, 3, 4)], "n": [1, 2, 3, 4]}
    )
    assert sample_frame(path, ["n"], 10, after=("at", datetime.fromisoformat("2026-01-02")))["n"].tolist() == [3, 4]
    none = sample_frame(path, ["n"], 10, after=("at", datetime.fromisoformat("2027-01-01")))
    assert (list(none.columns), len(none)) == (["n"], 0)


def test_a_moment_of_nanoseconds_is_later_by_its_microseconds(tmp_path):
    at = pa.array([1_000_000_000_000_000_999, 1_000_000_000_000_001_000], pa.timestamp("ns"))
    path = _file(tmp_path, {"at": at, "n": [1, 2]})
    assert sample_frame(path, ["n"], 10, after=("at", datetime.fromisoformat("2001-09-09T01:46:40")))["n"].tolist() == [
        2
    ]


def test_blocks_have_the_columns_that_were_asked_for_in_their_order(tmp_path):
    path = _file(tmp_path, {"n": [1, 2, 3], "s": ["a", "b", "c"]})
    blocks = list(read_blocks(path, ["s", "n"]))
    assert [block.schema.names for block in blocks] == [["s", "n"]] * 2
    assert pa.Table.from_batches(read_blocks(path)).equals(pq.read_table(path))


def test_rows_are_parted_by_their_sides_without_losing_one(tmp_path):
    path = _file(tmp_path, {"n": list(range(10))}, row_group_size=3)
    found: dict[int, list[int]] = {0: [], 1: []}
    for side, rows in part_rows(path, lambda block: (np.array(block.column("n")) % 4 == 0).astype(np.int8)):
        assert rows.num_rows
        found[side] += rows.column("n").to_pylist()
    assert found == {1: [0, 4, 8], 0: [1, 2, 3, 5, 6, 7, 9]}


def test_staged_rows_are_read_back_as_they_were(tmp_path):
    table = pa.table({"n": [1, None, 3], "s": ["a", "b", None]})
    path = stage_rows(table.to_reader(), tmp_path / "staged.parquet")
    assert pq.read_table(path).equals(table)
    assert schema_of(path) == table.schema


def test_staged_rows_have_the_types_of_a_snapshot(tmp_path):
    table = pa.table({"at": pa.array([1_000], pa.timestamp("ns", "UTC")), "s": pa.array(["a"], pa.large_string())})
    path = stage_rows(table.to_reader(), tmp_path / "staged.parquet")
    assert schema_of(path).types == [pa.timestamp("us", "UTC"), pa.string()]


def test_missing_values_are_a_text_of_their_own_and_are_counted():
    block = pa.record_batch({"x": pa.array([1.0, float("nan"), None, 1.0])})
    values, which = texts(block.column("x"))
    assert [values[index] for index in which] == ["1", "null", "null", "1"]
    assert n_null(block, "x") == 2


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("s"), pa.timestamp("us", "Europe/Berlin")])
def test_moments_are_counted_in_utc(kind):
    column = pa.array([86_400], pa.int64()).cast(pa.timestamp("s", getattr(kind, "tz", None))).cast(kind)
    assert moments(column, "us").tolist() == [86_400_000_000]


def test_one_column_is_read_as_an_array(tmp_path):
    found = read_column(_file(tmp_path, {"n": [1.5, 2.5], "s": ["a", "b"]}), "n")
    assert found.dtype == np.float64
    assert found.tolist() == [1.5, 2.5]
