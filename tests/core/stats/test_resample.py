from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.stats.resample import (
    MAX_UNITS,
    Units,
    interval_of,
    replicate,
    simultaneous_intervals,
    sums_by_unit,
)
from airflow_mlops.errors import EvaluationError


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _means(values: np.ndarray, units: Units, *, n_resamples: int = 2000, seed: int = 0) -> np.ndarray:
    drawn = replicate(sums_by_unit(units, np.ones(len(values)), values), units, n_resamples=n_resamples, rng=_rng(seed))
    return drawn[:, 1] / drawn[:, 0]


def test_few_rows_are_a_unit_each():
    units = Units.rows(100, rng=_rng())
    assert sorted(units.of_rows) == list(range(100))


@given(st.integers(1, 3 * MAX_UNITS))
def test_many_rows_are_dealt_out_evenly(n_rows):
    units = Units.rows(n_rows, rng=_rng())
    sizes = np.bincount(units.of_rows, minlength=units.n_units)
    assert units.n_units == min(n_rows, MAX_UNITS)
    assert sizes.max() - sizes.min() <= 1


@given(st.integers(1, 20_000), st.integers(1, 500))
def test_a_block_is_of_neighbours_and_never_shorter_than_asked_for(n_rows, length):
    units = Units.blocks(n_rows, length=length)
    assert (np.diff(units.of_rows) >= 0).all()
    assert np.bincount(units.of_rows).min() >= min(length, n_rows)
    assert units.n_units == units.of_rows.max() + 1 <= MAX_UNITS


def test_groups_stay_whole_also_where_many_are_put_together():
    codes = np.repeat(np.arange(3 * MAX_UNITS), 2)
    units = Units.groups(codes, name="customer", rng=_rng())
    assert units.n_units == MAX_UNITS
    assert all(len(set(units.of_rows[codes == group])) == 1 for group in range(0, 3 * MAX_UNITS, 501))


def test_strata_keep_their_sizes_in_every_replicate():
    codes = np.repeat([0, 1, 2], [500, 40, 1])
    units = Units.within(codes, rng=_rng())
    sums = sums_by_unit(units, *(np.where(codes == each, 1.0, 0.0) for each in range(3)))
    drawn = replicate(sums, units, n_resamples=200, rng=_rng())
    assert drawn.tolist() == [[500.0, 40.0, 1.0]] * 200


def test_strata_of_many_rows_keep_their_shares_and_none_is_lost():
    codes = np.repeat([0, 1], [100_000, 3])
    units = Units.within(codes, rng=_rng())
    assert units.strata == (4095, 1)
    assert len(set(units.of_rows[codes == 1])) == 1
    assert not set(units.of_rows[codes == 0]) & set(units.of_rows[codes == 1])


def test_the_spread_is_that_of_the_normal_approximation():
    values = _rng(1).normal(size=3000)
    assert _means(values, Units.rows(3000, rng=_rng())).std() == pytest.approx(values.std() / np.sqrt(3000), rel=0.06)


@pytest.mark.statistics
def test_units_of_many_rows_have_the_spread_that_single_rows_have():
    values = _rng(2).normal(size=200_000)
    found = _means(values, Units.rows(200_000, rng=_rng())).std()
    assert found == pytest.approx(values.std() / np.sqrt(200_000), rel=0.06)


@pytest.mark.statistics
def test_blocks_and_groups_widen_the_spread_of_rows_that_depend_on_each_other():
    runs = np.repeat(_rng(3).normal(size=200), 20)
    alone = _means(runs, Units.rows(4000, rng=_rng())).std()
    together = _means(runs, Units.blocks(4000, length=40)).std()
    grouped = _means(runs, Units.groups(np.repeat(np.arange(200), 20), name="g", rng=_rng())).std()
    assert together > 3 * alone
    assert grouped == pytest.approx(runs.std() / np.sqrt(200), rel=0.15)


def test_the_same_seed_draws_the_same_and_another_one_another():
    values, units = _rng(4).normal(size=100), Units.rows(100, rng=_rng())
    assert (_means(values, units, seed=1) == _means(values, units, seed=1)).all()
    assert (_means(values, units, seed=1) != _means(values, units, seed=2)).any()


def test_every_column_is_resampled_by_the_same_rows():
    values, units = _rng(5).normal(size=500), Units.rows(500, rng=_rng())
    drawn = replicate(sums_by_unit(units, values, values + 1.0), units, n_resamples=300, rng=_rng())
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(500.0)


def test_memory_does_not_grow_with_replicates_times_rows():
    units, rng = Units.rows(300_000, rng=_rng()), _rng()
    sums = sums_by_unit(units, rng.normal(size=300_000))
    tracemalloc.start()
    replicate(sums, units, n_resamples=2000, rng=rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6  # the matrix would take 4.8 GB


def test_no_rows_are_not_resampled():
    units = Units.rows(0, rng=_rng())
    with pytest.raises(EvaluationError, match="no row"):
        replicate(np.zeros((0, 1)), units, n_resamples=10, rng=_rng())


def test_the_percentile_interval_leaves_the_tails_out():
    interval = interval_of(0.0, np.arange(1001.0) - 500, confidence_level=0.9)
    assert (interval.low, interval.high) == (-450.0, 450.0)


def test_few_replicates_that_are_no_numbers_are_left_out_and_many_leave_no_interval():
    replicates = np.zeros(100)
    replicates[:4] = np.nan
    assert interval_of(0.0, replicates, confidence_level=0.95).low == 0.0
    replicates[:10] = np.nan
    assert np.isnan(interval_of(0.0, replicates, confidence_level=0.95).low)


def test_one_simultaneous_interval_is_an_ordinary_one_and_many_are_wider():
    replicates = _rng(6).normal(size=(20_000, 30))
    (alone,) = simultaneous_intervals([0.0], replicates[:, :1], confidence_level=0.95)
    together = simultaneous_intervals([0.0] * 30, replicates, confidence_level=0.95)
    assert alone.high == pytest.approx(1.96, rel=0.03)
    assert together[0].high == pytest.approx(3.14, rel=0.03)  # the largest of 30 normal deviates, by absolute value


@pytest.mark.statistics
def test_simultaneous_intervals_hold_all_differences_as_often_as_they_say():
    rng, held = _rng(7), 0
    for _ in range(300):
        data = rng.normal(size=(400, 8))
        units = Units.rows(400, rng=rng)
        drawn = replicate(sums_by_unit(units, *data.T), units, n_resamples=300, rng=rng) / 400
        intervals = simultaneous_intervals(data.mean(axis=0), drawn, confidence_level=0.9)
        held += all(interval.low <= 0.0 <= interval.high for interval in intervals)
    assert 0.85 <= held / 300 <= 0.95


def test_a_slice_without_a_number_has_no_interval_and_leaves_the_others_theirs():
    replicates = _rng(8).normal(size=(1000, 2))
    replicates[:, 1] = np.nan
    sound, odd = simultaneous_intervals([0.0, float("nan")], replicates, confidence_level=0.95)
    assert sound.high == pytest.approx(1.96, rel=0.1)
    assert np.isnan(odd.low)


def test_identical_models_have_an_interval_of_no_width():
    (interval,) = simultaneous_intervals([0.0], np.zeros((100, 1)), confidence_level=0.95)
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_slices_without_any_number_have_no_interval():
    intervals = simultaneous_intervals([math.nan, math.nan], np.full((100, 2), np.nan), confidence_level=0.95)
    assert [(math.isnan(each.difference), math.isnan(each.low)) for each in intervals] == [(True, True), (True, True)]
