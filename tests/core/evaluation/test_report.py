from __future__ import annotations

import numpy as np
import pytest

from airflow_mlops.core.evaluation.report import check_predictions, check_scores, digest_of_question, naive_prediction
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs import GateSpec


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


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[0.5, 0.5]], r"shape \(1, 2\); \(2, 2\) is rows by classes"),
        ([[0.5, 0.5], [np.nan, 1.0]], r"NaN, or not in \[0, 1\]\) in 1 of 2 rows"),
        ([[1.5, -0.5], [0.5, 0.5]], "in 1 of 2 rows"),
        ([[0.5, 0.5], [0.5, 0.4]], "do not add up to 1 in 1 of 2 rows"),
    ],
)
def test_what_is_no_probability_is_refused(scores, message):
    with pytest.raises(EvaluationError, match=f"The champion gave probabilities .*{message}"):
        check_scores("The champion", np.array(scores), (2, 2))


def test_naive_predictions_learn_from_the_training_target_alone():
    target = np.array([1, 2, 9])
    assert naive_prediction("mean", target) == 4.0
    assert naive_prediction("median", target) == 2.0


GATE = {
    "metrics": {"accuracy": {"value_threshold": 0.8}},
    "slices": {"columns": ["region"], "min_rows": 50},
    "fairness": {"attributes": ["sex"], "limits": {"demographic_parity_difference": 0.1}},
}


def _asked(**changed: object) -> str:
    return digest_of_question(GateSpec.parse(GATE | changed))


def test_what_the_answer_must_be_is_no_part_of_the_question():
    stricter = {"attributes": ["sex"], "limits": {"demographic_parity_difference": 0.05}}
    assert _asked(metrics={"accuracy": {"value_threshold": 0.9}}, fairness=stricter) == _asked()


@pytest.mark.parametrize(
    "changed",
    [
        {"metrics": {"roc_auc": {"value_threshold": 0.8}}},
        {"confidence_level": 0.9},
        {"seed": 1},
        {"slices": {"columns": ["region"], "min_rows": 51}},
        {"slices": None},
        {"fairness": {"attributes": ["age"], "limits": {"demographic_parity_difference": 0.1}}},
        {"fairness": None},
    ],
)
def test_whatever_is_computed_otherwise_is_another_question(changed: dict[str, object]):
    assert _asked(**changed) != _asked()


def test_probabilities_are_returned_as_numbers_that_may_miss_one_by_a_rounding():
    assert check_scores("X", np.array([["0.25", "0.75"], ["0.3", "0.7001"]]), (2, 2)).tolist() == [
        [0.25, 0.75],
        [0.3, 0.7001],
    ]
