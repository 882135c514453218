from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from airflow_mlops.core.stats.curves import score_curves
from airflow_mlops.errors import EvaluationError

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=2, max_size=60).filter(
    lambda found: len({truth for truth, _ in found}) == 2
)


def _arrays(found) -> tuple[np.ndarray, np.ndarray]:
    return np.array([truth for truth, _ in found]), np.array([score / 12 for _, score in found])


@given(rows)
def test_curves_and_areas_are_those_of_scikit_learn(found):
    y_true, y_score = _arrays(found)
    curves = score_curves(y_true, y_score)
    assert curves.roc_auc == pytest.approx(roc_auc_score(y_true, y_score))
    assert curves.average_precision == pytest.approx(average_precision_score(y_true, y_score))
    false_positive_rate, true_positive_rate, _ = roc_curve(y_true, y_score, drop_intermediate=False)
    assert curves.false_positive_rate == pytest.approx(false_positive_rate)
    assert curves.true_positive_rate == pytest.approx(true_positive_rate)
    precision, recall, _ = precision_recall_curve(y_true, y_score)
    assert curves.precision == pytest.approx(precision[::-1])
    assert curves.true_positive_rate == pytest.approx(recall[::-1])


@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(found, random):
    assert score_curves(*_arrays(random.sample(found, len(found)))) == score_curves(*_arrays(found))


@given(rows)
def test_turning_scores_and_classes_round_keeps_the_area(found):
    y_true, y_score = _arrays(found)
    assert score_curves(~y_true, -y_score).roc_auc == pytest.approx(score_curves(y_true, y_score).roc_auc)


def test_many_thresholds_become_few_points_that_lie_on_the_curve_from_end_to_end():
    rng = np.random.default_rng(0)
    y_true = rng.random(50_000) < 0.02
    y_score = rng.normal(size=50_000) + 1.5 * y_true
    curves = score_curves(y_true, y_score)
    assert 300 < len(curves.precision) <= 400
    assert (curves.false_positive_rate[0], curves.true_positive_rate[0]) == (0, 0)
    assert (curves.false_positive_rate[-1], curves.true_positive_rate[-1]) == (1, 1)
    assert curves.precision[-1] == pytest.approx(y_true.mean())
    along = np.add(curves.false_positive_rate, curves.true_positive_rate)
    assert np.diff(along).max() < 0.011
    assert np.trapezoid(curves.true_positive_rate, curves.false_positive_rate) == pytest.approx(
        curves.roc_auc, abs=1e-3
    )


@pytest.mark.parametrize("y_true", [np.ones(3, dtype=bool), np.zeros(3, dtype=bool)])
def test_a_single_class_has_no_curve(y_true):
    with pytest.raises(EvaluationError, match="All 3 rows are of one class"):
        score_curves(y_true, np.arange(3.0))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(EvaluationError, match="1 of 2 rows is NaN"):
        score_curves(np.array([True, False]), np.array([0.1, np.nan]))
