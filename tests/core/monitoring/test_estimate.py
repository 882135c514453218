from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.adapters.sklearn.isotonic import fit_calibrator
from airflow_mlops.core.monitoring.estimate import Calibrator, expected_metrics, expected_roc_auc
from airflow_mlops.core.stats.metrics import METRICS, Predicted, value_of

NAMES = ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_macro", "matthews_corrcoef", "roc_auc"]


def people(n_rows: int, *, at: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return overconfident scores around ``at``, and what happened: the truth follows the scores' square."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(loc=at, scale=1.5, size=n_rows)))
    return scores, (rng.uniform(size=n_rows) < scores**2).astype(np.int64)


@pytest.mark.parametrize("at", [-1.0, 0.0, 1.0])
def test_without_concept_shift_the_estimate_is_what_the_labels_say_later(at: float):
    calibrator = fit_calibrator(*people(20_000, at=0.0, seed=0))
    scores, truth = people(20_000, at=at, seed=1)
    said = (scores > 0.5).astype(np.int64)
    estimated = expected_metrics(NAMES, predicted=said, scores=scores, probabilities=calibrator.of(scores))
    predicted = Predicted(values=said, scores=np.stack([1 - scores, scores], axis=1))
    known = {str(name): metric for name, metric in METRICS.items()}
    assert estimated == pytest.approx({name: value_of(known[name], truth, predicted, 2) for name in NAMES}, abs=0.015)


def test_what_needs_more_than_counts_and_ranks_is_not_estimated():
    half = np.array([0.5])
    assert (
        expected_metrics(["log_loss", "mean_absolute_error"], predicted=np.array([1]), scores=half, probabilities=half)
        == {}
    )


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.7]), st.floats(0.01, 0.99)), min_size=2, max_size=12))
def test_the_expected_area_is_that_of_all_pairs(rows: list[tuple[float, float]]):
    scores, p = (np.array(each) for each in zip(*rows, strict=True))
    weights = p[:, None] * (1 - p)[None, :]
    wins = (scores[:, None] > scores[None, :]) + 0.5 * (scores[:, None] == scores[None, :])
    assert expected_roc_auc(scores, p) == pytest.approx((weights * wins).sum() / weights.sum())


def test_where_a_class_is_not_expected_there_is_no_area():
    assert np.isnan(expected_roc_auc(np.array([0.1, 0.9]), np.array([1.0, 1.0])))


def test_beyond_its_points_the_calibration_is_level():
    curve = Calibrator(scores=np.array([0.2, 0.8]), probabilities=np.array([0.1, 0.5]))
    assert curve.of(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([0.1, 0.3, 0.5])
