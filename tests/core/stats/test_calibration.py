from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.stats.calibration import measure_calibration
from airflow_mlops.errors import EvaluationError

rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


def _arrays(found) -> tuple[np.ndarray, np.ndarray]:
    return np.array([truth for truth, _ in found]), np.array([score for _, score in found])


@given(rows)
def test_every_row_is_in_one_bin_and_the_bins_rise(found):
    y_true, y_score = _arrays(found)
    result = measure_calibration(y_true, y_score)
    assert sum(part.n_rows for part in result.bins) == sum(result.score_counts) == len(found)
    assert 1 <= len(result.bins) <= 15
    scores = [part.mean_score for part in result.bins]
    assert scores == sorted(scores)
    assert sum(part.n_rows * part.observed_fraction for part in result.bins) == pytest.approx(y_true.sum())


@given(rows)
def test_all_that_is_measured_is_a_fraction(found):
    result = measure_calibration(*_arrays(found))
    for value in (result.expected_error, result.brier_score, result.reliability, result.resolution, result.uncertainty):
        assert 0 <= value <= 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=200))
def test_the_brier_score_is_the_sum_of_its_parts_where_the_scores_of_a_bin_are_equal(found):
    y_true, level = _arrays(found)
    result = measure_calibration(y_true, level / 4, n_bins=200)
    parts = result.reliability - result.resolution + result.uncertainty
    assert result.brier_score == pytest.approx(parts)
    assert result.brier_score == pytest.approx(np.mean((level / 4 - y_true) ** 2))


def test_bins_hold_about_equally_many_rows():
    rng = np.random.default_rng(0)
    result = measure_calibration(rng.random(3000) < 0.1, rng.beta(1, 9, size=3000), n_bins=10)
    assert [part.n_rows for part in result.bins] == pytest.approx([300] * 10, abs=2)


def test_what_happens_as_often_as_predicted_has_next_to_no_error_and_what_does_not_has_the_gap():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.1, 0.7, size=50_000)
    y_true = rng.random(50_000) < score
    assert measure_calibration(y_true, score).expected_error < 0.01
    assert measure_calibration(y_true, score + 0.2).expected_error == pytest.approx(0.2, abs=0.01)


def test_a_constant_prediction_is_one_bin_without_resolution():
    result = measure_calibration(np.array([True, False, False, False]), np.full(4, 0.5))
    assert [(part.n_rows, part.mean_score, part.observed_fraction) for part in result.bins] == [(4, 0.5, 0.25)]
    assert (result.expected_error, result.resolution, result.uncertainty) == (0.25, 0.0, 0.1875)


@pytest.mark.parametrize("score", [[], [0.5, 1.2], [0.5, -0.1], [0.5, np.nan]])
def test_what_is_no_probability_is_refused(score):
    with pytest.raises(EvaluationError, match=f"probabilities in .0, 1., at least one; found {len(score)} scores"):
        measure_calibration(np.zeros(len(score), dtype=bool), np.array(score))
