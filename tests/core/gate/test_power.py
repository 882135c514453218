from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.power import detectable_difference, rows_needed, spread_of
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.errors import EvaluationError

REPORT = EvaluationReport(
    model_name="m",
    challenger_uri="u",
    challenger_digest="d",
    champion_version=1,
    split_digest="s",
    n_rows=400,
    baseline="mean",
    confidence_level=0.95,
    comparisons=(),
)


def test_the_spread_of_a_row_is_read_from_the_width_of_an_interval():
    assert spread_of(REPORT, Interval(difference=0.0, low=-0.098, high=0.098)) == pytest.approx(1.0, rel=1e-3)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(0.55, 0.99), st.floats(0.5, 0.99))
def test_so_many_rows_show_just_that_difference(spread, difference, confidence_level, power):
    settings = {"confidence_level": confidence_level, "power": power}
    n_rows = rows_needed(spread, difference=difference, **settings)
    assert detectable_difference(spread, n_rows=n_rows, **settings) <= difference * (1 + 1e-9)
    if n_rows > 1:
        assert detectable_difference(spread, n_rows=n_rows - 1, **settings) > difference * (1 - 1e-9)


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 10))
def test_the_sign_of_a_difference_does_not_matter(spread, difference):
    assert rows_needed(spread, difference=difference) == rows_needed(spread, difference=-difference)


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (float("nan"), float("nan"))])
def test_an_interval_without_a_width_says_nothing(bounds):
    with pytest.raises(EvaluationError, match="says nothing about the spread"):
        spread_of(REPORT, Interval(difference=0.0, low=bounds[0], high=bounds[1]))


@pytest.mark.parametrize("difference", [0.0, float("nan")])
def test_no_difference_is_never_seen(difference):
    with pytest.raises(EvaluationError, match="is never seen"):
        rows_needed(1.0, difference=difference)


def test_the_planned_number_of_rows_finds_the_difference_as_often_as_planned():
    rng, n_rows = np.random.default_rng(0), rows_needed(1.0, difference=0.2)
    differences = rng.normal(-0.2, 1.0, size=(4000, n_rows))
    upper = differences.mean(axis=1) + 1.96 * differences.std(axis=1, ddof=1) / np.sqrt(n_rows)
    assert (upper < 0).mean() == pytest.approx(0.8, abs=0.03)
