from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_absolute_error, roc_auc_score

from airflow_mlops.adapters.sklearn.scorers import make_scorer
from airflow_mlops.errors import EvaluationError, SpecError

ROWS = np.random.default_rng(0).normal(size=(60, 2))
NUMBERS = ROWS @ [1.0, -2.0] + np.random.default_rng(1).normal(size=60)
CLASSES = np.where(NUMBERS > 0, "yes", "no")


class Own:
    """A user's own model: nothing of scikit-learn but what it calls."""

    def __init__(self, model, *names: str) -> None:
        for name in names:
            setattr(self, name, getattr(model, name))


def test_a_score_is_that_of_scikit_learn_with_higher_for_better():
    model = LinearRegression().fit(ROWS, NUMBERS)
    error = mean_absolute_error(NUMBERS, model.predict(ROWS))
    assert make_scorer("neg_mean_absolute_error")(model, ROWS, NUMBERS) == -error


def test_a_users_own_model_needs_no_more_than_predict():
    model = LinearRegression().fit(ROWS, NUMBERS)
    assert make_scorer("r2")(Own(model, "predict"), ROWS, NUMBERS) == model.score(ROWS, NUMBERS)


def test_a_users_own_classifier_is_scored_by_its_probabilities():
    model = LogisticRegression().fit(ROWS, CLASSES)
    own = Own(model, "predict", "predict_proba", "classes_")
    expected = roc_auc_score(CLASSES, model.predict_proba(ROWS)[:, 1])
    assert make_scorer("roc_auc")(own, ROWS, CLASSES) == expected
    assert make_scorer("accuracy")(Own(model, "predict"), ROWS, CLASSES) == model.score(ROWS, CLASSES)


def test_a_name_that_is_no_scorer_is_refused_with_a_suggestion():
    with pytest.raises(SpecError, match=r"'roc_acu' is not one of scikit-learn's scorers.*Did you mean 'roc_auc'"):
        make_scorer("roc_acu")


def test_a_model_that_can_not_be_scored_is_an_error_that_says_why():
    with pytest.raises(EvaluationError, match="roc_auc can't be computed"):
        make_scorer("roc_auc")(LinearRegression().fit(ROWS, NUMBERS), ROWS, NUMBERS)


def test_a_score_that_is_no_number_is_an_error():
    one_row = (ROWS[:1], NUMBERS[:1])
    with pytest.raises(EvaluationError, match="r2 is nan for 1 rows; a finite number is required"):
        make_scorer("r2")(LinearRegression().fit(ROWS, NUMBERS), *one_row)
