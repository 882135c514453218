from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.splitting.split import (
    LEFT_OUT,
    N_BINS,
    TEST,
    TRAIN,
    VALIDATION,
    DatasetPart,
    DatasetSplit,
    bins_of,
    draw_sides,
    mix_bits,
    sides_by_time,
    stratum_limits,
)

HASHES = mix_bits(np.arange(20_000, dtype=np.uint64))


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_about_the_fraction_of_the_rows_is_drawn_and_another_seed_draws_others(fraction: float):
    drawn = draw_sides(HASHES, test_fraction=fraction, seed=0)
    assert abs((drawn == TEST).mean() - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / len(HASHES))
    assert (drawn != draw_sides(HASHES, test_fraction=fraction, seed=1)).any()


def test_a_validation_part_takes_no_row_from_the_held_back_ones():
    alone = draw_sides(HASHES, test_fraction=0.2, seed=3)
    beside = draw_sides(HASHES, test_fraction=0.2, validation_fraction=0.1, seed=3)
    assert ((alone == TEST) == (beside == TEST)).all()
    assert abs((beside == VALIDATION).mean() - 0.1) < 0.01


def test_a_larger_part_holds_back_the_rows_of_a_smaller_one():
    small = draw_sides(HASHES, test_fraction=0.1, seed=3) == TEST
    assert (draw_sides(HASHES, test_fraction=0.3, seed=3)[small] == TEST).all()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(-5, 5))
def test_the_side_of_a_row_depends_on_its_hash_alone(numbers: list[int], seed: int):
    hashes = np.array(numbers, dtype=np.uint64)
    sides = draw_sides(hashes, test_fraction=0.3, validation_fraction=0.2, seed=seed)
    alone = [
        draw_sides(hashes[i : i + 1], test_fraction=0.3, validation_fraction=0.2, seed=seed)[0]
        for i in range(len(hashes))
    ]
    assert sides.tolist() == alone


@given(st.integers(2, 400), st.sampled_from([0.05, 0.2, 0.5, 0.9]), st.integers(0, 50))
def test_the_share_of_a_stratum_is_exact_to_a_row_where_no_two_rows_share_a_bin(
    n_rows: int, fraction: float, seed: int
):
    bins = np.random.default_rng(seed).choice(N_BINS, size=n_rows, replace=False)
    histogram = np.bincount(bins, minlength=N_BINS)
    test, validation = stratum_limits(histogram, test_fraction=fraction)
    n_test = int(histogram[:test].sum())
    assert test == validation
    assert abs(n_test - fraction * n_rows) <= 0.5 or n_test in (1, n_rows - 1)
    assert 1 <= n_test < n_rows


@given(st.integers(3, 400), st.integers(0, 50))
def test_each_of_three_parts_of_a_stratum_gets_a_row(n_rows: int, seed: int):
    bins = np.random.default_rng(seed).choice(N_BINS, size=n_rows, replace=False)
    histogram = np.bincount(bins, minlength=N_BINS)
    test, validation = stratum_limits(histogram, test_fraction=0.4, validation_fraction=0.4)
    counts = [histogram[:test].sum(), histogram[test:validation].sum(), histogram[validation:].sum()]
    assert min(counts) >= 1
    assert n_rows < 20 or counts[0] == pytest.approx(0.4 * n_rows, abs=1)


def test_the_share_of_a_large_stratum_is_exact_to_one_bin():
    histogram = np.bincount(bins_of(mix_bits(np.arange(2_000_000, dtype=np.uint64)), 0), minlength=N_BINS)
    test, _ = stratum_limits(histogram, test_fraction=0.2)
    assert abs(histogram[:test].sum() / 2_000_000 - 0.2) < 1 / N_BINS


def test_rows_within_the_gap_before_either_cut_are_left_out():
    sides = sides_by_time(np.arange(12), cut=9, validation_cut=5, gap=2)
    assert sides.tolist() == [TRAIN] * 3 + [LEFT_OUT] * 2 + [VALIDATION] * 2 + [LEFT_OUT] * 2 + [TEST] * 3


@given(st.lists(st.integers(-50, 50), max_size=60), st.integers(-50, 50), st.integers(0, 20))
def test_every_row_to_train_on_lies_before_every_held_back_one_by_more_than_the_gap(moments, cut, gap):
    values = np.array(moments, dtype=np.int64)
    sides = sides_by_time(values, cut=cut, gap=gap)
    assert (values[sides == TEST] >= cut).all()
    assert (values[sides == TRAIN] < cut - gap).all()
    assert ((sides == LEFT_OUT) == ((values >= cut - gap) & (values < cut))).all()


def test_a_validation_part_belongs_to_the_identity_of_a_split():
    part = DatasetPart(uri="a", digest="1", n_rows=1)
    settings = {"snapshot_digest": "s", "method": "random", "cut": None, "columns": (), "timestamp": None}
    without = DatasetSplit(**settings, train=part, test=part)
    beside = DatasetSplit(**settings, train=part, test=part, validation=part)
    assert without.digest != beside.digest
    assert list(beside.parts) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("histogram", "test_fraction", "limit"),
    [
        ([2, 6, 2], 0.3, 1),  # 2 is nearer to 3 than 8
        ([2, 6, 2], 0.6, 2),  # 8 is nearer to 6 than 2
        ([2, 0, 0, 6, 2], 0.3, 1),  # of limits with as many rows below them, the first
        ([6, 2, 2], 0.1, 1),  # never no row
    ],
)
def test_a_stratum_is_cut_where_the_wanted_number_is_met_most_nearly(histogram, test_fraction: float, limit: int):
    assert stratum_limits(np.array(histogram), test_fraction=test_fraction) == (limit, limit)
