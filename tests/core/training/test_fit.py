from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.training.fit import (
    Progress,
    Rows,
    check_sample_weight,
    check_target,
    class_weights,
    hold_out,
    progress_tail,
    reason_of,
)
from airflow_mlops.errors import DataError, SpecError


def test_rows_are_taken_with_their_targets_and_weights():
    rows = Rows(features=pd.DataFrame({"x": [1, 2, 3]}), target=np.array([4, 5, 6]), weights=np.array([0.1, 0.2, 0.3]))
    taken = rows.take(np.array([True, False, True]))
    assert taken.features["x"].tolist() == [1, 3]
    assert taken.target.tolist() == [4, 6]
    assert taken.weights.tolist() == [0.1, 0.3]


def test_rows_without_weights_have_none_when_they_are_taken():
    rows = Rows(features=np.arange(2), target=np.arange(2))
    assert rows.take(np.array([True, False])).weights is None


@pytest.mark.parametrize("weights", [[1, 2], [0.0, 1e-9], [True, False]])
def test_weights_are_numbers_of_at_least_zero(weights):
    assert check_sample_weight(np.array(weights), "w").tolist() == [float(weight) for weight in weights]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.5, None])
def test_a_weight_that_is_none_is_refused_with_its_row(wrong):
    with pytest.raises(DataError, match=rf"'w' must be a number of at least 0; in 1 of .* \(first: {wrong} in row 1\)"):
        check_sample_weight(np.array([1.0, wrong, 2.0], dtype=object if wrong is None else float), "w")


def test_weights_that_are_text_or_all_zero_are_refused():
    with pytest.raises(DataError, match="'w' is no number: could not convert string to float: 'heavy'"):
        check_sample_weight(np.array(["heavy"], dtype=object), "w")
    with pytest.raises(DataError, match="'w' is 0 in all 2 training rows: none of them counts"):
        check_sample_weight(np.zeros(2), "w")


def test_a_target_that_teaches_nothing_is_refused():
    with pytest.raises(DataError, match="'y' is null in 2 of 3 training rows"):
        check_target(np.array([1.0, np.nan, np.nan]), 2, "y")
    with pytest.raises(DataError, match="'y' is infinite in 1 of 2 training rows"):
        check_target(np.array([1.0, -np.inf]), 0, "y")
    with pytest.raises(DataError, match="'y' is no in all 2 training rows: there is nothing to tell apart"):
        check_target(np.array(["no", "no"], dtype=object), 0, "y")


@pytest.mark.parametrize("values", [[0, 1], [True, False], ["a", "b"], [0.5, 0.25]])
def test_a_target_of_two_values_is_something_to_learn(values):
    check_target(np.array(values), 0, "y")


@pytest.mark.parametrize(
    ("wanted", "labels", "found"),
    [
        ({"0": 1.0, "1": 2.0}, [0, 1], {0: 1.0, 1: 2.0}),
        ({"0": 1.0, "1": 2.0}, [0.0, 1.0], {0.0: 1.0, 1.0: 2.0}),
        ({"False": 1.0, "True": 2.0}, [False, True], {False: 1.0, True: 2.0}),
        ({"yes": 1.0, "no": 2.0}, ["no", "yes"], {"yes": 1.0, "no": 2.0}),
    ],
)
def test_a_class_is_found_by_its_text(wanted, labels, found):
    assert class_weights(wanted, np.array(labels)) == found


def test_balanced_is_left_to_the_estimator():
    assert class_weights("balanced", np.array([0, 1])) == "balanced"


@pytest.mark.parametrize("wanted", [{"0": 1.0}, {"0": 1.0, "1": 1.0, "2": 1.0}])
def test_each_class_has_one_weight(wanted):
    with pytest.raises(SpecError, match=r"but the training part has '0', '1'\. .* Give each class one weight"):
        class_weights(wanted, np.array([0, 1]))


@given(n_rows=st.integers(2, 200), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_some_rows_are_held_out_and_never_all_of_them(n_rows, fraction, seed):
    chosen = [
        hold_out(n_rows, fraction=fraction, moments=None, rng=np.random.default_rng(seed)).tolist() for _ in range(2)
    ]
    assert chosen[0] == chosen[1]
    assert 1 <= sum(chosen[0]) <= n_rows - 1
    assert abs(sum(chosen[0]) - fraction * n_rows) <= 1


@given(moments=st.lists(st.integers(0, 50), min_size=2, max_size=50))
def test_by_time_no_row_that_is_learnt_from_is_later_than_one_that_is_held_out(moments):
    times = np.array(moments).astype("datetime64[s]")
    chosen = hold_out(len(times), fraction=0.3, moments=times, rng=np.random.default_rng(0))
    assert times[~chosen].max() <= times[chosen].min()


def test_one_row_can_not_be_parted():
    with pytest.raises(DataError, match="needs two rows at least; the training part has 1"):
        hold_out(1, fraction=0.5, moments=None, rng=np.random.default_rng(0))


def test_progress_is_what_was_last_reported_or_what_is_seen_by_looking():
    progress, done = Progress(), [1]
    assert progress.seen() is None
    progress(5)
    assert progress.seen() == (5, None)
    progress.look_by(lambda: (done[0], 9))
    done[0] = 2
    assert progress.seen() == (2, 9)


@pytest.mark.parametrize(
    ("seen", "tail"),
    [
        (None, "elapsed_s=30"),
        ((7, None), "elapsed_s=30 done=7"),
        ((0, 10), "elapsed_s=30 done=0 total=10"),
        ((5, 10), "elapsed_s=30 done=5 total=10 remaining_s=30"),
        ((12, 10), "elapsed_s=30 done=12 total=10 remaining_s=0"),
    ],
)
def test_a_line_of_progress_says_no_more_than_is_known(seen, tail):
    assert progress_tail(30.0, seen) == tail


def test_running_out_of_memory_is_explained():
    assert "the task has used up its memory: give its worker more" in reason_of(MemoryError("4 GiB"))
