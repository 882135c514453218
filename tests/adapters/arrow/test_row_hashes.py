from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.adapters.arrow.row_hashes import row_hashes
from airflow_mlops.core.splitting.split import draw_sides

ROWS = pa.table(
    {
        "n": pa.array([1, None, 3, 2**62, -5], pa.int64()),
        "x": pa.array([0.5, float("nan"), None, float("inf"), -0.0]),
        "s": ["a", None, "", "ä", "a"],
        "b": [True, False, None, True, True],
        "d": [dt.date(2020, 1, 1), None, dt.date(1960, 1, 1), dt.date(2020, 1, 1), dt.date(2020, 1, 2)],
        "t": pa.array([1_577_847_600_000_000, None, None, None, -631_152_000_000_000], pa.timestamp("us")),
        "l": [[1, 2], None, [], [1], [1, 2]],
    }
)


def test_a_row_has_the_same_hash_wherever_it_stands():
    whole = row_hashes(ROWS.to_batches()[0])
    alone = [row_hashes(ROWS.slice(i, 1).combine_chunks().to_batches()[0])[0] for i in range(ROWS.num_rows)]
    assert list(whole) == alone
    assert len(set(alone)) == ROWS.num_rows


@pytest.mark.parametrize("column", ROWS.column_names)
def test_every_column_counts(column: str):
    changed = ROWS.drop_columns([column]).to_batches()[0]
    assert not set(row_hashes(changed)) & set(row_hashes(ROWS.to_batches()[0]))


def test_a_zero_is_a_zero_whatever_its_sign():
    zeros = pa.record_batch({"x": [0.0, -0.0]})
    assert len(set(row_hashes(zeros))) == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True), st.integers(0, 5))
def test_rows_that_were_drawn_are_drawn_again_when_others_join_them(numbers: list[int], seed: int):
    few = row_hashes(pa.record_batch({"n": pa.array(numbers, pa.int64())}))
    joined = row_hashes(pa.record_batch({"n": pa.array([*range(100), *numbers], pa.int64())}))
    sides, again = (draw_sides(each, test_fraction=0.3, seed=seed) for each in (few, joined))
    assert list(sides) == list(again[100:])


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(12, 2)])
def test_a_number_counts_by_its_value_whatever_its_type(kind: pa.DataType):
    plain = pa.array([1, 0, None, 77], pa.int32())
    assert list(row_hashes(pa.record_batch({"n": plain.cast(kind)}))) == list(row_hashes(pa.record_batch({"n": plain})))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, unique=True))
def test_large_integers_that_floats_can_not_tell_apart_have_hashes_of_their_own(numbers: list[int]):
    assert len(set(row_hashes(pa.record_batch({"n": pa.array(numbers, pa.int64())})))) == len(numbers)


def test_a_text_counts_by_its_value_whatever_its_type():
    plain = pa.array(["a", None, "", "ä"])
    kinds = [plain.cast(pa.large_string()), plain.dictionary_encode(), plain.cast(pa.string_view())]
    for same in kinds:
        assert list(row_hashes(pa.record_batch({"s": same}))) == list(row_hashes(pa.record_batch({"s": plain})))


def test_a_block_in_which_every_text_is_missing_has_a_hash():
    block = pa.record_batch({"s": pa.array([None, None], pa.string())})
    assert len(set(row_hashes(block))) == 1
