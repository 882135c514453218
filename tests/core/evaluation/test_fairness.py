from __future__ import annotations

import math

import numpy as np
import pytest

from airflow_mlops.core.evaluation.fairness import FairnessReport, regression_fairness
from airflow_mlops.core.evaluation.slices import SlicedColumn, code_categories
from airflow_mlops.errors import EvaluationError


def _groups(*codes: int) -> SlicedColumn:
    return code_categories("sex", np.array(codes), ["f", "m", "x"])


def _report(errors: list[float], *codes: int, min_rows: int = 2) -> FairnessReport:
    return regression_fairness(
        _groups(*codes), y_true=np.full(len(errors), 10.0), y_pred=10.0 + np.array(errors), min_rows=min_rows
    )


def test_errors_are_shown_by_group_with_their_sign_and_without():
    report = _report([1, 3, -2, 2, 0, -6], 0, 0, 1, 1, 1, 1)
    found = {group.name: (group.n_rows, dict(group.scores)) for group in report.groups}
    assert found == {
        "sex=f": (2, {"mean_error": 2.0, "mean_absolute_error": 2.0}),
        "sex=m": (4, {"mean_error": -1.5, "mean_absolute_error": 2.5}),
    }
    assert report.measures == {"mean_error_difference": 3.5, "mean_absolute_error_difference": 0.5}


def test_a_group_that_is_too_small_is_shown_and_not_judged():
    report = _report([1, 1, 2, 2, 99], 0, 0, 1, 1, 2)
    assert [(group.name, group.is_judged) for group in report.groups] == [
        ("sex=f", True),
        ("sex=m", True),
        ("sex=x", False),
    ]
    assert report.measures["mean_error_difference"] == 1.0


@pytest.mark.parametrize("codes", [(0, 0, 0, 0), (0, 0, 0, 1)])
def test_with_fewer_than_two_groups_to_judge_nothing_is_fair(codes):
    report = _report([0, 0, 0, 0], *codes)
    assert not any(group.is_judged for group in report.groups)
    assert math.isnan(report.measures["mean_error_difference"])
    assert not report.is_within("mean_error_difference", 1e9)


def test_a_difference_must_be_at_most_the_limit_and_a_ratio_at_least():
    report = FairnessReport(
        attribute="sex",
        min_rows=2,
        groups=(),
        measures={"demographic_parity_difference": 0.2, "demographic_parity_ratio": 0.8},
    )
    assert report.is_within("demographic_parity_difference", 0.2)
    assert not report.is_within("demographic_parity_difference", 0.1)
    assert report.is_within("demographic_parity_ratio", 0.8)
    assert not report.is_within("demographic_parity_ratio", 0.9)


def test_a_measure_that_was_not_made_can_not_be_asked_for():
    with pytest.raises(KeyError, match="equalized_odds_difference"):
        _report([0, 0], 0, 1).is_within("equalized_odds_difference", 1.0)


def test_predictions_that_are_no_numbers_are_refused():
    with pytest.raises(EvaluationError, match="NaN or infinite"):
        _report([0, math.nan], 0, 1)
