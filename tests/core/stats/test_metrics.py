from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from airflow_mlops.core.stats.metrics import METRICS, Predicted, losses_of, value_of, worsening
from airflow_mlops.core.stats.resample import Units, replicate, sums_by_unit
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS

REGRESSION = {
    "mean_absolute_error": theirs.mean_absolute_error,
    "mean_squared_error": theirs.mean_squared_error,
    "root_mean_squared_error": theirs.root_mean_squared_error,
    "mean_absolute_percentage_error": theirs.mean_absolute_percentage_error,
    "r2": theirs.r2_score,
}
OF_LABELS = {
    "accuracy": theirs.accuracy_score,
    "balanced_accuracy": theirs.balanced_accuracy_score,
    "f1_macro": lambda y, p: theirs.f1_score(y, p, average="macro"),
    "matthews_corrcoef": theirs.matthews_corrcoef,
}
OF_TWO = {"precision": theirs.precision_score, "recall": theirs.recall_score, "f1": theirs.f1_score}
OF_SCORES = {
    "log_loss": theirs.log_loss,
    "brier_score": theirs.brier_score_loss,
    "roc_auc": theirs.roc_auc_score,
    "average_precision": theirs.average_precision_score,
}


def _two_classes(seed: int, n_rows: int = 300, decimals: int = 2) -> tuple[np.ndarray, Predicted]:
    """Return a truth and scores with ties."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, n_rows)
    score = np.clip(rng.normal(0.3 * y_true + 0.35, 0.25), 0.001, 0.999).round(decimals)
    return y_true, Predicted(values=(score > 0.5).astype(int), scores=np.stack([1 - score, score], axis=1))


def _three_classes(seed: int) -> tuple[np.ndarray, Predicted]:
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 3, 300)
    scores = rng.dirichlet([1, 1, 1], 300) + np.eye(3)[y_true]
    scores /= scores.sum(axis=1, keepdims=True)
    return y_true, Predicted(values=scores.argmax(axis=1), scores=scores)


def test_every_name_that_a_spec_may_use_is_a_metric():
    assert set(METRICS) == {*REGRESSION_METRICS, *CLASSIFICATION_METRICS}
    assert set(METRICS) == {*REGRESSION, *OF_LABELS, *OF_TWO, *OF_SCORES}


@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", REGRESSION)
def test_a_metric_of_numbers_is_that_of_scikit_learn(name, seed):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.normal(5, 2, 50), rng.normal(5, 2, 50)
    assert value_of(METRICS[name], y_true, Predicted(values=y_pred)) == pytest.approx(REGRESSION[name](y_true, y_pred))


@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", [*OF_LABELS, *OF_TWO])
def test_a_metric_of_labels_is_that_of_scikit_learn(name, seed):
    y_true, predicted = _two_classes(seed)
    assert value_of(METRICS[name], y_true, predicted, 2) == pytest.approx(
        (OF_LABELS | OF_TWO)[name](y_true, predicted.values)
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 12]))
@pytest.mark.parametrize("name", OF_SCORES)
def test_a_metric_of_probabilities_is_that_of_scikit_learn_ties_and_all(name, seed, decimals):
    y_true, predicted = _two_classes(seed, decimals=decimals)
    expected = OF_SCORES[name](y_true, predicted.scores[:, 1])
    assert value_of(METRICS[name], y_true, predicted, 2) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", OF_LABELS)
def test_of_three_classes_too(name, seed):
    y_true, predicted = _three_classes(seed)
    assert value_of(METRICS[name], y_true, predicted, 3) == pytest.approx(OF_LABELS[name](y_true, predicted.values))


def test_probabilities_of_three_classes():
    y_true, predicted = _three_classes(1)
    expected = {
        "log_loss": theirs.log_loss(y_true, predicted.scores),
        "roc_auc": theirs.roc_auc_score(y_true, predicted.scores, multi_class="ovr"),
        "brier_score": np.square(predicted.scores - np.eye(3)[y_true]).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        assert value_of(METRICS[name], y_true, predicted, 3) == pytest.approx(value), name


@given(st.sampled_from(sorted(METRICS)), st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(name, seed):
    y_true, predicted = _two_classes(seed)
    order = np.random.default_rng(seed).permutation(len(y_true))
    forth = value_of(METRICS[name], y_true, predicted, 2)
    assert value_of(METRICS[name], y_true[order], predicted.at(order), 2) == pytest.approx(forth, nan_ok=True)


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "f1", "r2", "root_mean_squared_error"])
def test_replicates_spread_as_those_of_the_plain_bootstrap(name):
    rng = np.random.default_rng(2)
    y_true, predicted = _two_classes(3, 2000)
    if name in REGRESSION:
        y_true = rng.normal(size=2000)
        predicted = Predicted(values=y_true + rng.normal(size=2000))
    units = Units.rows(2000, rng=rng)
    sums = np.hstack([sums_by_unit(units, np.ones(2000)), METRICS[name].sums(y_true, predicted, units, 2)])
    drawn = replicate(sums, units, n_resamples=2000, rng=rng)
    ours = METRICS[name].of_means(drawn[:, 1:] / drawn[:, :1])
    plain = []
    for _ in range(400):
        rows = rng.integers(0, 2000, 2000)
        plain.append(value_of(METRICS[name], y_true[rows], predicted.at(rows), 2))
    assert ours.std() == pytest.approx(np.std(plain), rel=0.12)
    assert ours.mean() == pytest.approx(np.mean(plain), abs=4 * np.std(plain) / 20)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall"])
def test_without_a_positive_row_there_is_no_number(name):
    predicted = _two_classes(0, 20)[1]
    assert np.isnan(value_of(METRICS[name], np.zeros(20, int), predicted, 2))


def test_a_zero_among_the_targets_makes_the_percentage_error_infinite_and_never_good():
    assert value_of(METRICS["mean_absolute_percentage_error"], np.array([0.0, 1.0]), Predicted(values=np.ones(2))) == (
        np.inf
    )


def test_a_constant_target_has_no_r2():
    assert not np.isfinite(value_of(METRICS["r2"], np.ones(5), Predicted(values=np.arange(5.0))))


def test_classes_that_do_not_occur_are_left_out_of_an_average():
    y_true, predicted = _two_classes(4)
    assert value_of(METRICS["f1_macro"], y_true, predicted, 7) == pytest.approx(
        value_of(METRICS["f1_macro"], y_true, predicted, 2)
    )


def test_a_metric_of_probabilities_without_any_is_refused():
    with pytest.raises(EvaluationError, match="where there are none"):
        value_of(METRICS["log_loss"], np.array([0, 1]), Predicted(values=np.array([0, 1])), 2)


@pytest.mark.parametrize(("direction", "sign"), [("lower_is_better", 1), ("higher_is_better", -1)])
def test_worse_is_positive_whatever_the_direction(direction, sign):
    assert worsening(direction, 0.2) == sign * 0.2


def test_the_loss_of_a_row_is_its_brier_score_where_all_models_give_probabilities():
    sure = Predicted(values=np.array([0, 1]), scores=np.array([[0.9, 0.1], [0.5, 0.5]]))
    losses = losses_of("classification", np.array([0, 1]), {"challenger": sure, "baseline": sure})
    assert losses.name == "Brier score"
    assert {who: loss.tolist() for who, loss in losses.by_model.items()} == {"challenger": pytest.approx([0.01, 0.25])}


def test_the_loss_of_a_row_is_whether_its_class_is_wrong_where_one_model_gives_labels_alone():
    sure = Predicted(values=np.array([0, 1]), scores=np.array([[0.9, 0.1], [0.5, 0.5]]))
    labels = Predicted(values=np.array([1, 1]))
    losses = losses_of("classification", np.array([0, 1]), {"challenger": sure, "champion": labels})
    assert losses.name == "error rate"
    assert {who: loss.tolist() for who, loss in losses.by_model.items()} == {
        "challenger": [0.0, 0.0],
        "champion": [1.0, 0.0],
    }
