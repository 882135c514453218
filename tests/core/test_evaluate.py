from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluate import (
    METRICS,
    check_predictions,
    compare_predictions,
    naive_predictions,
    paired_bootstrap,
)
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs import GateSpec

scores = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40)


def _interval(challenger, other, *, seed=0, of_mean=lambda mean: mean, **settings):
    settings = {"n_resamples": 200, **settings}
    return paired_bootstrap(
        np.asarray(challenger, dtype=float),
        np.asarray(other, dtype=float),
        of_mean=of_mean,
        rng=np.random.default_rng(seed),
        **settings,
    )


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=40), st.integers(1, 7))
def test_swapping_challenger_and_champion_mirrors_the_interval(pairs, block_length):
    ours, theirs = zip(*pairs, strict=True)
    for of_mean in (np.asarray, lambda mean: np.sqrt(np.maximum(mean, 0))):
        forth = _interval(ours, theirs, of_mean=of_mean, block_length=block_length)
        back = _interval(theirs, ours, of_mean=of_mean, block_length=block_length)
        assert back.difference == -forth.difference
        assert back.low == pytest.approx(-forth.high, abs=1e-9)
        assert back.high == pytest.approx(-forth.low, abs=1e-9)


@given(scores, st.integers(1, 50))
def test_identical_scores_differ_by_nothing_with_certainty(values, block_length):
    interval = _interval(values, values, block_length=block_length)
    assert (interval.difference, interval.low, interval.high) == (0.0, 0.0, 0.0)


@given(scores, st.floats(-10, 10), st.integers(1, 50))
def test_what_is_hard_for_both_cancels_out(values, shift, block_length):
    interval = _interval(np.asarray(values) + shift, values, block_length=block_length)
    assert [interval.difference, interval.low, interval.high] == pytest.approx([shift] * 3, abs=1e-6)


def test_the_interval_holds_the_difference_and_narrows_with_more_rows_and_less_confidence():
    rng = np.random.default_rng(3)
    few, many = rng.normal(size=(2, 50)), rng.normal(size=(2, 5000))
    wide, narrow, timid = _interval(*few), _interval(*many), _interval(*few, confidence_level=0.6)
    assert wide.low < wide.difference < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3
    assert timid.high - timid.low < wide.high - wide.low


def test_the_interval_is_that_of_the_normal_approximation_where_that_holds():
    rng = np.random.default_rng(4)
    ours, theirs = rng.normal(size=(2, 2000))
    interval = _interval(ours, theirs, n_resamples=4000)
    half = 1.96 * (ours - theirs).std() / np.sqrt(2000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)


def test_blocks_widen_the_interval_of_rows_that_depend_on_their_neighbours():
    runs = np.repeat(np.random.default_rng(5).normal(size=100), 20)
    alone, together = _interval(runs, np.zeros(2000)), _interval(runs, np.zeros(2000), block_length=40)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_blocks_go_round_at_the_end_so_that_one_as_long_as_the_data_is_the_data():
    ours = np.arange(12.0)
    interval = _interval(ours, np.zeros(12), block_length=12)
    assert [interval.low, interval.high] == pytest.approx([5.5, 5.5])


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("block_length", [1, 2])
def test_every_row_is_drawn(position, block_length):
    ours = np.zeros(6)
    ours[position] = 1.0
    interval = _interval(ours, np.zeros(6), block_length=block_length)
    assert interval.low == 0.0
    assert interval.high > interval.difference == pytest.approx(1 / 6)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    ours, theirs = np.random.default_rng(6).normal(size=(2, 100))
    assert _interval(ours, theirs, seed=1) == _interval(ours, theirs, seed=1)
    assert _interval(ours, theirs, seed=1) != _interval(ours, theirs, seed=2)


def test_replicates_that_are_drawn_in_chunks_are_all_drawn():
    ours, theirs = np.random.default_rng(7).normal(size=(2, 30_000))
    interval = _interval(ours, theirs, n_resamples=201)  # three chunks of at most 66
    assert interval.low < interval.difference < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.sqrt(2 / 30_000), rel=0.35)


@pytest.mark.parametrize(("challenger", "other"), [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_scores_of_no_rows_or_of_other_rows_are_not_compared(challenger, other):
    with pytest.raises(EvaluationError, match=f"Can't compare {len(challenger)} scores with {len(other)}"):
        _interval(challenger, other)


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "value"),
    [
        ("mean_absolute_error", [1.0, 2.0, 3.0], [1.0, 0.0, 7.0], 2.0),
        ("root_mean_squared_error", [0.0, 0.0], [3.0, 4.0], np.sqrt(12.5)),
        ("accuracy", ["a", "b", "a", "b"], ["a", "b", "a", "a"], 0.75),
        ("accuracy", [0, 1, 1], [0.0, 1.0, 0.0], 2 / 3),
    ],
)
def test_a_metric_has_its_textbook_value(name, y_true, y_pred, value):
    metric = METRICS[name]
    assert metric.of_mean(metric.per_row(np.array(y_true), np.array(y_pred)).mean()) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "sign"), [("mean_absolute_error", 1), ("root_mean_squared_error", 1), ("accuracy", -1)]
)
def test_worse_is_positive_whatever_the_direction(name, sign):
    assert METRICS[name].worsening(0.2) == sign * 0.2


def test_everybody_is_scored_on_the_same_rows_in_the_gates_order():
    gate = GateSpec(metrics={"root_mean_squared_error": {}, "mean_absolute_error": {}}, n_resamples=200)
    y_true = np.array([1.0, 2.0, 3.0, 4.0])
    rmse, mae = compare_predictions(
        y_true=y_true, challenger=y_true + 1, baseline=y_true + 3, champion=y_true + 2, gate=gate
    )
    assert (rmse.metric, mae.metric) == ("root_mean_squared_error", "mean_absolute_error")
    for comparison in (rmse, mae):
        assert (comparison.challenger, comparison.baseline, comparison.champion) == (1.0, 3.0, 2.0)
        assert comparison.against_baseline.difference == -2.0
        assert comparison.against_champion.difference == -1.0


def test_without_a_champion_only_the_baseline_is_compared_with():
    gate = GateSpec(metrics={"accuracy": {}}, baseline="most_frequent", n_resamples=200)
    labels = np.array(["a", "b"])
    (comparison,) = compare_predictions(
        y_true=labels, challenger=labels, baseline=labels[::-1], champion=None, gate=gate
    )
    assert (comparison.champion, comparison.against_champion) == (None, None)
    assert comparison.against_baseline.difference == 1.0


def test_predictions_in_one_column_are_flattened():
    assert check_predictions("X", np.array([[1.0], [2.0]]), 2).tolist() == [1.0, 2.0]


def test_labels_are_predictions_too():
    assert check_predictions("X", np.array(["a", "b"]), 2).tolist() == ["a", "b"]


@pytest.mark.parametrize("predictions", [[1.0], [1.0, 2.0, 3.0], [[1.0, 2.0], [3.0, 4.0]], 1.0])
def test_predictions_of_another_shape_than_the_rows_are_refused(predictions):
    with pytest.raises(EvaluationError, match=r"The challenger gave predictions of shape \(.*\) for 2 rows"):
        check_predictions("The challenger", np.array(predictions), 2)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_predictions_that_are_no_numbers_are_counted_and_refused(odd):
    with pytest.raises(EvaluationError, match="The challenger predicted NaN or infinity for 2 of 3 rows"):
        check_predictions("The challenger", np.array([odd, 1.0, odd]), 3)


def test_naive_predictions_learn_from_the_training_target_alone():
    target = np.array([1.0, 2.0, 9.0])
    assert naive_predictions("mean", target, 2).tolist() == [4.0, 4.0]
    assert naive_predictions("median", target, 3).tolist() == [2.0, 2.0, 2.0]
    assert naive_predictions("most_frequent", np.array(["b", "a", "b"]), 2).tolist() == ["b", "b"]


def test_an_error_of_labels_is_refused_and_names_the_metric():
    labels = np.array(["a", "b"], dtype=object)
    gate = GateSpec(metrics={"mean_absolute_error": {}})
    with pytest.raises(EvaluationError, match="mean_absolute_error can't be computed from a target of type object"):
        compare_predictions(y_true=labels, challenger=labels, baseline=labels, champion=None, gate=gate)
