from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.score import SliceRows, class_scores, metric_of, score_models
from airflow_mlops.core.stats.metrics import METRICS, Predicted, value_of
from airflow_mlops.core.stats.resample import Units
from airflow_mlops.errors import EvaluationError

MAE = {"mean_absolute_error": METRICS["mean_absolute_error"]}


def _score(y_true: Any, metrics: Any = MAE, *, seed: int = 0, units: Units | None = None, **settings: Any) -> Any:
    """Compare predictions, given as arrays by model."""
    models = {who: settings.pop(who) for who in ("challenger", "champion", "baseline") if settings.get(who) is not None}
    y_true = np.asarray(y_true)
    rng = np.random.default_rng(seed)
    return score_models(
        y_true=y_true,
        models={
            who: said if isinstance(said, Predicted) else Predicted(values=np.asarray(said))
            for who, said in models.items()
        },
        metrics=metrics,
        units=units or Units.rows(len(y_true), rng=rng),
        rng=rng,
        **{"n_resamples": 200, **settings},
    )


def test_everybody_is_scored_on_the_same_rows_in_the_order_of_the_metrics():
    y_true = np.array([1.0, 2.0, 3.0, 4.0])
    (rmse, mae), _ = _score(
        y_true,
        {"root_mean_squared_error": METRICS["root_mean_squared_error"], **MAE},
        challenger=y_true + 1,
        baseline=y_true + 3,
        champion=y_true + 2,
    )
    assert (rmse.metric, mae.metric) == ("root_mean_squared_error", "mean_absolute_error")
    for comparison in (rmse, mae):
        assert (comparison.challenger, comparison.baseline, comparison.champion) == (1.0, 3.0, 2.0)
        assert comparison.against_baseline.difference == -2.0
        assert comparison.against_champion.difference == -1.0


def test_without_a_champion_only_the_baseline_is_compared_with():
    (comparison,), _ = _score([1.0, 2.0], challenger=[1.0, 2.0], baseline=[2.0, 2.0])
    assert (comparison.champion, comparison.against_champion) == (None, None)
    assert comparison.against_baseline.difference == -0.5


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=40), st.integers(0, 9))
def test_swapping_challenger_and_champion_mirrors_the_interval(pairs, seed):
    ours, theirs = np.array(pairs).T
    truth = np.zeros(len(pairs))
    (forth,), _ = _score(truth, challenger=ours, champion=theirs, baseline=truth, seed=seed)
    (back,), _ = _score(truth, challenger=theirs, champion=ours, baseline=truth, seed=seed)
    there, here = forth.against_champion, back.against_champion
    assert here.difference == -there.difference
    assert (here.low, here.high) == pytest.approx((-there.high, -there.low), abs=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.sampled_from(["mean_absolute_error", "r2"]))
def test_a_model_that_predicts_what_the_champion_does_differs_by_nothing_with_certainty(values, name):
    truth = np.arange(float(len(values)))
    (found,), _ = _score(truth, {name: METRICS[name]}, challenger=values, champion=list(values), baseline=truth)
    interval = found.against_champion
    if np.isfinite(interval.low):  # of few rows, r2 has no number in replicates of one row
        assert (interval.difference, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_what_is_hard_for_both_cancels_out():
    error = np.abs(np.random.default_rng(1).normal(size=500)) * 100
    (found,), _ = _score(np.zeros(500), challenger=error + 1, champion=error, baseline=error)
    assert [found.against_champion.low, found.against_champion.high] == pytest.approx([1.0, 1.0])


def test_the_interval_narrows_with_more_rows_and_less_confidence():
    rng = np.random.default_rng(3)

    def width(n_rows: int, **settings: Any) -> float:
        ours, theirs = rng.normal(size=(2, n_rows))
        zeros = np.zeros(n_rows)
        (found,), _ = _score(zeros, challenger=ours, champion=theirs, baseline=zeros, **settings)
        return found.against_champion.high - found.against_champion.low

    assert width(5000) < width(50) / 3
    assert width(1000, confidence_level=0.6) < width(1000)


def test_a_slice_is_scored_on_its_rows_alone_and_the_worst_comes_first():
    y_true = np.zeros(40)
    challenger, champion = np.ones(40), np.ones(40)
    challenger[:10], champion[10:20] = 3.0, 4.0
    parts = [SliceRows(name=f"part {i}", rows=np.arange(i * 10, i * 10 + 10)) for i in range(4)]
    _, slices = _score(y_true, challenger=challenger, champion=champion, baseline=y_true, slices=parts)
    assert (slices[0].name, slices[-1].name) == ("part 0", "part 1")
    assert (slices[0].challenger, slices[0].champion, slices[0].n_rows) == (3.0, 1.0, 10)
    assert (slices[0].against_champion.low, slices[0].against_champion.high) == (2.0, 2.0)


def test_a_metric_of_ranks_is_computed_within_the_slice():
    rng = np.random.default_rng(5)
    y_true = rng.integers(0, 2, 400)
    score = np.clip(rng.normal(0.3 * y_true + 0.3, 0.2), 0, 1)
    said = Predicted(values=(score > 0.5).astype(int), scores=np.stack([1 - score, score], axis=1))
    rows = np.arange(100, 250)
    _, (part,) = _score(
        y_true,
        {"roc_auc": METRICS["roc_auc"]},
        challenger=said,
        champion=said,
        baseline=said,
        slices=[SliceRows(name="s", rows=rows)],
        n_classes=2,
    )
    assert part.challenger == pytest.approx(value_of(METRICS["roc_auc"], y_true[rows], said.at(rows), 2))


def test_slices_without_a_champion_have_values_and_no_interval():
    _, (part,) = _score(
        [1.0, 2.0], challenger=[1.0, 4.0], baseline=[1.0, 1.0], slices=[SliceRows(name="s", rows=np.array([1]))]
    )
    assert (part.challenger, part.champion, part.against_champion) == (2.0, None, None)


@pytest.mark.parametrize(("challenger", "n"), [([], 0), ([1.0], 2)])
def test_no_rows_and_other_rows_are_not_compared(challenger, n):
    with pytest.raises(EvaluationError, match="all need the same rows, at least one"):
        _score(np.zeros(n), challenger=challenger, baseline=np.zeros(n))


def test_a_metric_of_two_classes_for_three_is_refused_and_says_what_to_take():
    said = Predicted(values=np.array([0, 1, 2]))
    with pytest.raises(EvaluationError, match="f1 is of two classes, the target has 3"):
        _score([0, 1, 2], {"f1": METRICS["f1"]}, challenger=said, baseline=said, n_classes=3)


def test_a_metric_of_probabilities_for_a_model_that_gives_none_is_refused():
    said = Predicted(values=np.array([0, 1]))
    with pytest.raises(EvaluationError, match="log_loss wants probabilities, and the challenger has no predict_proba"):
        _score([0, 1], {"log_loss": METRICS["log_loss"]}, challenger=said, baseline=said, n_classes=2)


def test_classes_are_told_apart_the_most_frequent_first():
    y_true = np.array([0, 0, 0, 1, 1, 2])
    found = class_scores(y_true, {"challenger": Predicted(values=np.array([0, 0, 1, 1, 1, 1]))}, ["a", "b", "c"])
    assert [(c.label, c.n_rows) for c in found] == [("a", 3), ("b", 2), ("c", 1)]
    assert [(c.precision, c.recall) for c in found[:2]] == [(1.0, 2 / 3), (0.5, 1.0)]
    assert np.isnan(found[2].precision)
    assert found[0].champion_recall is None


# -- functions of the user's ------------------------------------------------------------------------------------


def _absolute_errors(y_true, y_pred):
    return np.abs(y_true - y_pred)


def _mean_absolute_error(y_true, y_pred):
    return np.abs(y_true - y_pred).mean()


def _median_error(y_true, y_pred):
    return float(np.median(np.abs(y_true - y_pred)))


def test_a_function_that_gives_a_number_for_each_row_is_resampled_as_our_own():
    rng = np.random.default_rng(0)
    y_true, ours, theirs = rng.normal(size=(3, 300))
    own = {"rows": metric_of(_absolute_errors, "rows", "lower_is_better")}
    (known,), _ = _score(y_true, challenger=ours, champion=theirs, baseline=theirs)
    (found,), _ = _score(y_true, own, challenger=ours, champion=theirs, baseline=theirs)
    assert found.challenger == known.challenger
    assert found.against_champion == known.against_champion


@pytest.mark.statistics
@pytest.mark.parametrize("n_rows", [60, 1000, 20_000])
def test_a_function_that_gives_one_number_has_its_own_value_and_nearly_the_interval_of_the_bootstrap(n_rows):
    rng = np.random.default_rng(1)
    y_true, ours, theirs = rng.normal(size=(3, n_rows))
    own = {"one": metric_of(_mean_absolute_error, "one", "lower_is_better")}
    (known,), _ = _score(y_true, challenger=ours, champion=theirs, baseline=theirs, n_resamples=2000)
    (found,), _ = _score(y_true, own, challenger=ours, champion=theirs, baseline=theirs, n_resamples=2000)
    assert found.challenger == pytest.approx(known.challenger)
    width, theirs_width = (each.against_champion.high - each.against_champion.low for each in (found, known))
    assert width == pytest.approx(theirs_width, rel=0.25)


def test_a_function_that_is_no_mean_at_all_gets_an_interval_too():
    rng = np.random.default_rng(2)
    y_true, ours = rng.normal(size=(2, 2000))
    own = {"median": metric_of(_median_error, "median", "lower_is_better")}
    (found,), _ = _score(y_true, own, challenger=ours, champion=ours + 1, baseline=ours)
    interval = found.against_champion
    assert found.challenger == pytest.approx(_median_error(y_true, ours))
    assert interval.low < interval.difference < interval.high < 0


def test_a_function_gets_the_labels_and_not_their_places():
    seen = []

    def cost(y_true, y_pred):
        seen.append(set(y_true.tolist()) | set(y_pred.tolist()))
        return (y_true != y_pred).astype(float)

    metric = metric_of(cost, "cost", "lower_is_better", np.array(["no", "yes"]))
    said = Predicted(values=np.array([0, 1]))
    _score([0, 1], {"cost": metric}, challenger=said, baseline=said, n_classes=2)
    assert all(labels <= {"no", "yes"} for labels in seen)


def test_a_function_that_raises_is_named():
    def broken(y_true, y_pred):
        raise ZeroDivisionError("nothing sold")

    with pytest.raises(EvaluationError, match="The metric profit raised ZeroDivisionError: nothing sold"):
        _score([1.0], {"profit": metric_of(broken, "profit", "higher_is_better")}, challenger=[1.0], baseline=[1.0])


def test_a_function_that_gives_an_array_of_another_shape_is_named():
    metric = metric_of(lambda y, p: np.ones(3), "odd", "higher_is_better")
    with pytest.raises(EvaluationError, match=r"The metric odd gave an array of shape \(3,\) for 2 rows"):
        _score([1.0, 2.0], {"odd": metric}, challenger=[1.0, 1.0], baseline=[1.0, 1.0])


def test_a_function_that_gives_nan_has_no_value_and_no_interval():
    metric = metric_of(lambda y, p: float("nan"), "odd", "higher_is_better")
    (found,), _ = _score(np.zeros(50), {"odd": metric}, challenger=np.zeros(50), baseline=np.zeros(50))
    assert np.isnan(found.challenger)
    assert np.isnan(found.against_baseline.low)


def test_a_function_of_one_unit_has_its_value_and_an_interval_of_no_width():
    """There is no second group to leave out."""
    y_true = np.array([1.0, 2.0, 6.0])
    metrics = {"median": metric_of(_median_error, direction="lower_is_better", name="median")}
    units = Units.groups(np.zeros(3, dtype=np.int64), name="g", rng=np.random.default_rng(0))
    (comparison,), _ = _score(y_true, metrics, challenger=y_true + 1, baseline=y_true + 3, units=units)
    assert (comparison.challenger, comparison.baseline) == (1.0, 3.0)
    against = comparison.against_baseline
    assert (against.difference, against.low, against.high) == (-2.0, -2.0, -2.0)
