from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.adapters.arrow._spread import NumberSpreads
from airflow_mlops.core.data.profile import Spread

numbers = st.lists(st.none() | st.sampled_from([math.nan, math.inf, -math.inf]) | st.floats(-1e6, 1e6), max_size=30)


def _spread(*blocks: pa.Array) -> Spread:
    found = NumberSpreads(pa.schema({"x": blocks[0].type}))
    for block in blocks:
        found.add(pa.table({"x": block}))
    return found.spreads["x"]


@given(st.lists(numbers, min_size=1, max_size=4))
def test_mean_and_deviation_are_those_that_numpy_finds_in_the_finite_values(blocks):
    found = _spread(*(pa.array(block, pa.float64()) for block in blocks))
    finite = np.array([value for block in blocks for value in block if value is not None and math.isfinite(value)])
    if not len(finite):
        assert found == Spread()
        return
    assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
    assert found.std == pytest.approx(finite.std(), rel=1e-6, abs=1e-6)


def test_numbers_that_lie_close_together_far_from_zero_keep_their_digits():
    values = np.random.default_rng(0).normal(1e12, 1.0, 20_000)
    found = _spread(*(pa.array(part) for part in np.split(values, 4)))
    assert found.std == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint8(), pa.float32(), pa.decimal128(10, 2)])
def test_numbers_of_every_kind_are_added_up(kind):
    assert _spread(pa.array([Decimal(1), Decimal(3), None]).cast(kind)) == Spread(mean=2.0, std=1.0)


def test_numbers_that_are_too_large_for_their_sums_have_none():
    assert _spread(pa.array([1.7e308, 1.7e308])) == Spread()


def test_what_is_no_number_is_left_out():
    assert NumberSpreads(pa.schema({"s": pa.string(), "b": pa.bool_()})).spreads == {}
