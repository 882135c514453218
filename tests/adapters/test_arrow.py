from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.arrow import mask_batches, read_column, sample_frame


def _file(tmp_path: Path, columns: dict, row_group_size: int = 2) -> str:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


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
