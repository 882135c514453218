from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.splitting.folds import hashed_folds, time_folds
from airflow_mlops.errors import DataError


@given(
    st.lists(st.integers(0, 200), min_size=12, max_size=80, unique=True).flatmap(st.permutations),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_folds_by_time_learn_from_what_lies_before_the_gap_alone(moments, n_folds, gap):
    at = np.array(moments)
    try:
        folds = time_folds(at, n_folds, gap=gap)
    except DataError:
        assert gap  # without one there are always rows
        return
    for fit, score in folds:
        assert at[fit].max() + gap < at[score].min()
    scored = np.concatenate([score for _, score in folds])
    assert len(set(scored.tolist())) == len(scored)
    assert len(folds) == n_folds


def test_rows_of_one_moment_are_in_one_fold():
    moments = np.repeat(np.arange(7), 10)
    for fit, score in time_folds(moments, 3):
        assert not set(moments[fit]) & set(moments[score])


@pytest.mark.parametrize("settings", [{"gap": 6}, {}], ids=["gap", "one time"])
def test_folds_without_rows_are_an_error_that_says_what_to_do(settings):
    moments = np.arange(12) if settings else np.zeros(12, dtype=np.int64)
    with pytest.raises(DataError, match=r"Fold 1 of 3 has 0 rows to train on.*Lower tuning\.n_folds"):
        time_folds(moments, 3, **settings)


@given(st.lists(st.integers(0, 30), min_size=40, max_size=200), st.integers(2, 4), st.integers(0, 9))
def test_equal_hashes_are_never_on_both_sides_and_every_row_is_scored_once(groups, n_folds, seed):
    hashes = np.array(groups, dtype=np.uint64)
    if len(set(groups)) < n_folds:
        return
    folds = hashed_folds(hashes, n_folds, seed=seed)
    for fit, score in folds:
        assert not set(hashes[fit].tolist()) & set(hashes[score].tolist())
        assert len(fit) + len(score) == len(hashes)
    assert sorted(np.concatenate([score for _, score in folds]).tolist()) == list(range(len(hashes)))


def test_a_row_is_in_the_same_fold_wherever_it_stands():
    hashes = np.arange(100, dtype=np.uint64)
    order = np.random.default_rng(0).permutation(100)
    for (_, score), (_, moved) in zip(
        hashed_folds(hashes, 4, seed=1), hashed_folds(hashes[order], 4, seed=1), strict=True
    ):
        assert set(score.tolist()) == set(order[moved].tolist())


def test_another_seed_makes_other_folds():
    hashes = np.arange(100, dtype=np.uint64)
    first, second = (hashed_folds(hashes, 4, seed=seed)[0][1].tolist() for seed in (0, 1))
    assert first != second


def test_every_fold_has_the_same_share_of_every_stratum():
    strata = np.repeat([0, 1], [90, 10])
    for _, score in hashed_folds(np.arange(100, dtype=np.uint64), 5, seed=0, strata=strata):
        assert np.bincount(strata[score]).tolist() == [18, 2]


def test_strata_of_one_row_are_spread_over_the_folds():
    hashes = np.arange(20, dtype=np.uint64)
    assert [len(score) for _, score in hashed_folds(hashes, 5, seed=0, strata=hashes)] == [4] * 5


def test_fewer_groups_than_folds_are_an_error():
    with pytest.raises(DataError, match="it takes more rows or groups that are different"):
        hashed_folds(np.array([1, 1, 2, 2], dtype=np.uint64), 3, seed=0)
