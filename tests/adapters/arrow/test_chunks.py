from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlops.adapters.arrow import is_ascending, read_chunks, row_ids
from airflow_mlops.adapters.duckdb_engine.joins.keys import count_repeated
from airflow_mlops.errors import IntegrityError


@pytest.fixture
def parquet(tmp_path: Path) -> str:
    table = pa.table({"i": range(25), "s": ["a", "b", "c", None, "e"] * 5, "f": [0.5] * 25})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=10)
    return str(tmp_path / "rows.parquet")


@pytest.mark.parametrize("chunk_rows", [1, 7, 10, 25, 1000])
def test_chunks_are_all_rows_in_their_order_and_no_larger_than_asked(parquet: str, chunk_rows: int):
    chunks = list(read_chunks(parquet, ["s", "i"], chunk_rows))
    assert max(chunk.num_rows for chunk in chunks) <= chunk_rows
    assert {tuple(chunk.schema.names) for chunk in chunks} == {("s", "i")}
    assert [value for chunk in chunks for value in chunk.column("i").to_pylist()] == list(range(25))


def test_chunks_can_be_left_before_the_end(parquet: str):
    chunks = read_chunks(parquet, ["i"], 5)
    assert next(chunks).num_rows == 5
    chunks.close()


def test_a_damaged_file_is_told(parquet: str):
    Path(parquet).write_bytes(Path(parquet).read_bytes()[:200])
    with pytest.raises(IntegrityError, match="can't be read"):
        list(read_chunks(parquet, ["i"], 5))


def test_no_two_keys_have_one_text():
    rows = pa.RecordBatch.from_pydict({"a": ["x/y", "x", "x\\", "x"], "b": ["z", "y/z", "z", "\\z"]})
    assert row_ids(rows, ["a", "b"]).to_pylist() == [r"x\/y/z", r"x/y\/z", r"x\\/z", r"x/\\z"]
    assert row_ids(rows, ["a"]).to_pylist() == ["x/y", "x", "x\\", "x"]


def test_keys_that_several_rows_have_are_counted(parquet: str):
    assert count_repeated(parquet, ["i"]) == (0, 0)
    assert count_repeated(parquet, ["s"]) == (5, 25)
    assert count_repeated(parquet, ["s", "i"]) == (0, 0)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({"a": [-5, 0, 1, 2, 90]}, True, id="numbers that rise"),
        pytest.param({"a": ["10", "9", "a", "b", "c"]}, True, id="texts that rise"),
        pytest.param({"a": pa.array([1, 2, 3, 4, 5], pa.timestamp("us", "UTC"))}, True, id="times that rise"),
        pytest.param({"a": [1, 1, 2, 2, 2], "b": [1, 2, 0, 1, 2]}, True, id="the second column rises within the first"),
        pytest.param({"a": [7]}, True, id="one row"),
        pytest.param({"a": [1, 2, 2, 3, 4]}, False, id="twice in a row group"),
        pytest.param({"a": [1, 2, 3, 3, 4]}, False, id="twice, in two row groups"),
        pytest.param({"a": [1, 2, 4, 3, 5]}, False, id="one goes back"),
        pytest.param({"a": [1, 1, 2, 2, 3], "b": [1, 2, 3, 3, 0]}, False, id="both columns twice"),
        pytest.param({"a": [1, 1, 2, 2, 3], "b": [2, 1, 3, 4, 0]}, False, id="the second column goes back"),
        pytest.param({"a": [1, 2, None, 4, 5]}, False, id="a null"),
        pytest.param({"a": [1.0, 2.0, float("nan"), 4.0, 5.0]}, False, id="a NaN"),
        pytest.param({"a": [-0.0, 0.0]}, False, id="both zeros, which are equal"),
        pytest.param({"a": [False, True]}, False, id="of a type that is left to be counted"),
    ],
)
def test_a_file_in_the_order_of_its_key_is_known(tmp_path: Path, columns: dict[str, list[object]], expected: bool):
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=3)
    assert is_ascending(str(tmp_path / "rows.parquet"), list(columns)) is expected
    if expected:
        assert count_repeated(str(tmp_path / "rows.parquet"), list(columns)) == (0, 0)


def test_a_damaged_file_has_no_order(parquet: str):
    Path(parquet).write_bytes(Path(parquet).read_bytes()[:200])
    with pytest.raises(IntegrityError, match="can't be read"):
        is_ascending(parquet, ["i"])


def test_chunks_that_were_given_are_not_held(tmp_path: Path):
    path = str(tmp_path / "large.parquet")
    pq.write_table(pa.table({"x": np.random.default_rng(0).normal(size=1_000_000)}), path, row_group_size=20_000)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in read_chunks(path, ["x"], 20_000)]
    assert len(held) == 50
    assert max(held) < 10 * 20_000 * 8  # ten chunks, of the fifty
