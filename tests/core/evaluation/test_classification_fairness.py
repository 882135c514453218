"""The rates by their definition, and against fairlearn."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from airflow_mlops.core.evaluation.fairness import FairnessReport, classification_fairness
from airflow_mlops.core.evaluation.slices import code_categories
from airflow_mlops.errors import EvaluationError

rows = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=80)
FEW = settings(max_examples=15)  # fairlearn takes tens of milliseconds for each


def _report(found, min_rows: int = 1) -> FairnessReport:
    group, y_true, y_pred = (np.array(side) for side in zip(*found, strict=True))
    groups = code_categories("sex", group, ["f", "m", "x"])
    return classification_fairness(groups, y_true=y_true, y_pred=y_pred, min_rows=min_rows)


@FEW
@given(rows)
def test_each_group_has_the_rates_of_its_rows(found):
    for group in _report(found).groups:
        mine = [(y_true, y_pred) for code, y_true, y_pred in found if f"sex={'fmx'[code]}" == group.name]
        positives = [y_pred for y_true, y_pred in mine if y_true]
        negatives = [y_pred for y_true, y_pred in mine if not y_true]
        expected = {
            "selection_rate": np.mean([y_pred for _, y_pred in mine]),
            "true_positive_rate": np.mean(positives) if positives else math.nan,
            "false_positive_rate": np.mean(negatives) if negatives else math.nan,
            "accuracy": np.mean([y_true == y_pred for y_true, y_pred in mine]),
        }
        assert group.n_rows == len(mine)
        assert dict(group.scores) == pytest.approx(expected, nan_ok=True)


@FEW
@given(rows)
def test_the_rates_are_those_of_fairlearn_wherever_a_group_has_such_rows(found):
    codes, y_true, y_pred = (np.array(side).astype(int) for side in zip(*found, strict=True))
    theirs = MetricFrame(
        metrics={
            "selection_rate": selection_rate,
            "true_positive_rate": true_positive_rate,
            "false_positive_rate": false_positive_rate,
            "accuracy": accuracy_score,
        },
        y_true=y_true,
        y_pred=y_pred,
        sensitive_features={"sex": codes},  # one row as an array would be no feature to fairlearn
    ).by_group
    ours = {group.name: dict(group.scores) for group in _report(found).groups}
    assert ours.keys() == {f"sex={'fmx'[code]}" for code in theirs.index}
    for code, expected in theirs.to_dict(orient="index").items():
        truths = set(y_true[codes == code])
        expected["true_positive_rate"] = expected["true_positive_rate"] if 1 in truths else math.nan
        expected["false_positive_rate"] = expected["false_positive_rate"] if 0 in truths else math.nan
        assert ours[f"sex={'fmx'[code]}"] == pytest.approx(expected, nan_ok=True)


@FEW
@given(rows)
def test_the_measures_are_those_of_fairlearn_on_the_rows_where_every_group_has_both_classes(found):
    report = _report(found)
    sensitive, y_true, y_pred = (np.array(side).astype(int) for side in zip(*found, strict=True))
    if len(report.groups) < 2:
        return
    asked = {"y_true": y_true, "y_pred": y_pred, "sensitive_features": sensitive}
    assert report.measures["demographic_parity_difference"] == pytest.approx(demographic_parity_difference(**asked))
    assert report.measures["demographic_parity_ratio"] == pytest.approx(demographic_parity_ratio(**asked), nan_ok=True)
    rates = [group.scores[name] for group in report.groups for name in ("true_positive_rate", "false_positive_rate")]
    expected = math.nan if np.isnan(rates).any() else equalized_odds_difference(**asked)
    assert report.measures["equalized_odds_difference"] == pytest.approx(expected, nan_ok=True)


def test_a_group_without_positives_has_no_true_positive_rate_and_is_not_fair():
    """fairlearn says 0 for it, and leaves NaN out of a difference: either would be a finding about nothing."""
    report = _report([(0, True, True), (0, False, False), (1, False, False), (1, False, False)])
    assert math.isnan(report.groups[1].scores["true_positive_rate"])
    assert math.isnan(report.measures["equalized_odds_difference"])
    assert not report.is_within("equalized_odds_difference", 1.0)
    assert report.is_within("demographic_parity_difference", 0.5)


def test_a_group_that_is_too_small_is_shown_and_not_judged():
    report = _report(
        [(0, True, True), (0, False, False)] * 5 + [(1, True, True), (1, False, False)] * 5 + [(2, True, False)], 10
    )
    assert [(group.name, group.n_rows, group.is_judged) for group in report.groups] == [
        ("sex=f", 10, True),
        ("sex=m", 10, True),
        ("sex=x", 1, False),
    ]
    assert report.groups[2].scores["accuracy"] == 0
    assert dict(report.measures) == {
        "demographic_parity_difference": 0.0,
        "demographic_parity_ratio": 1.0,
        "equalized_odds_difference": 0.0,
    }


@pytest.mark.parametrize("codes", [[0] * 6, [0] * 5 + [1]])
def test_with_fewer_than_two_groups_to_judge_nothing_is_fair(codes):
    report = _report([(code, place % 2 == 0, True) for place, code in enumerate(codes)], 2)
    assert all(math.isnan(value) for value in report.measures.values())
    assert not report.is_within("demographic_parity_difference", 1.0)
    assert not report.is_within("demographic_parity_ratio", 0.0)


def test_a_model_that_selects_nobody_has_no_ratio_that_could_be_fair():
    report = _report([(code, truth, False) for code in (0, 1) for truth in (True, False)])
    assert report.measures["demographic_parity_difference"] == 0
    assert not report.is_within("demographic_parity_ratio", 0.8)


@pytest.mark.parametrize("n_rows", [0, 3])
def test_groups_of_other_rows_are_refused(n_rows):
    groups = code_categories("sex", np.zeros(n_rows, dtype=int), ["f"])
    with pytest.raises(EvaluationError, match=f"Fairness by 'sex': {n_rows} rows have a group, 0 a class"):
        classification_fairness(groups, y_true=np.zeros(0, bool), y_pred=np.zeros(0, bool), min_rows=1)


def test_men_are_selected_three_times_as_often_as_women_in_the_census(census):
    report = classification_fairness(
        code_categories("sex", census["sex"].cat.codes.to_numpy(), list(census["sex"].cat.categories)),
        y_true=census["y_true"].to_numpy(),
        y_pred=census["y_pred"].to_numpy(),
        min_rows=100,
    )
    rates = {group.name: group.scores["selection_rate"] for group in report.groups}
    assert rates == pytest.approx({"sex=Male": 0.258, "sex=Female": 0.086}, abs=0.01)
    assert report.measures["demographic_parity_difference"] == pytest.approx(0.172, abs=0.01)
    assert not report.is_within("demographic_parity_ratio", 0.8)


@pytest.fixture(scope="module")
def census() -> pd.DataFrame:
    """The test part of the adult data with the predictions of the reference model."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.preprocessing import OrdinalEncoder

    folder = os.environ.get("MLOPS_TEST_DATA")
    if not folder:
        pytest.skip("MLOPS_TEST_DATA is not set: the census data is not here")
    train, test = (
        pd.read_csv(Path(folder) / f"adult-{part}.csv", header=None, skipinitialspace=True, comment="|")
        for part in ("train", "test")
    )
    texts = [name for name in train.columns[:-1] if train[name].dtype == object]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    train[texts], test[texts] = encoder.fit_transform(train[texts]), encoder.transform(named := test[texts])
    model = HistGradientBoostingClassifier(random_state=0, early_stopping=False)
    model.fit(train.iloc[:, :-1], train[14] == ">50K")
    return pd.DataFrame(
        {
            "sex": named[9].astype("category"),
            "y_true": test[14].str.rstrip(".") == ">50K",
            "y_pred": model.predict(test.iloc[:, :-1]),
        }
    )
