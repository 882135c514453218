from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance as of_scikit_learn
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss, r2_score

from airflow_mlops.adapters.sklearn.importance import permutation_importance
from airflow_mlops.core.evaluation.importance import FeatureImportance
from airflow_mlops.errors import EvaluationError

FEATURES = ["strong", "weak", "noise"]


def _frame(n_rows: int = 600, seed: int = 0) -> pd.DataFrame:
    frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(n_rows, 3)), columns=FEATURES)
    return frame.assign(y=3 * frame["strong"] + frame["weak"])


FRAME = _frame()
MODEL = LinearRegression().fit(FRAME[FEATURES], FRAME["y"])


def _measure(frame: pd.DataFrame = FRAME, **settings: object) -> tuple[FeatureImportance, ...]:
    options = {"features": FEATURES, "score": r2_score} | settings
    return permutation_importance(lambda rows: MODEL.predict(rows[FEATURES]), frame, frame["y"].to_numpy(), **options)


def test_features_come_in_the_order_of_what_they_tell():
    found = _measure()
    assert [each.feature for each in found] == FEATURES
    assert found[2].importance == pytest.approx(0.0, abs=1e-9)
    assert found[0].std > 0


def test_it_agrees_with_scikit_learns():
    theirs = of_scikit_learn(MODEL, FRAME[FEATURES], FRAME["y"], scoring="r2", n_repeats=50, random_state=0)
    ours = {each.feature: each.importance for each in _measure(n_repeats=50)}
    assert [ours[name] for name in FEATURES] == pytest.approx(theirs.importances_mean, rel=0.05, abs=1e-9)


def test_the_same_seed_measures_the_same_and_the_rows_are_left_as_they_were():
    before = FRAME.copy()
    assert _measure(seed=3) == _measure(seed=3)
    assert _measure(seed=3) != _measure(seed=4)
    pd.testing.assert_frame_equal(FRAME, before)


def test_no_more_rows_than_allowed_are_predicted():
    n_asked = []

    def predict(rows: pd.DataFrame) -> np.ndarray:
        n_asked.append(len(rows))
        return rows["strong"].to_numpy()

    permutation_importance(
        predict, FRAME, FRAME["y"].to_numpy(), features=["strong"], score=r2_score, max_rows=50, n_repeats=4
    )
    assert n_asked == [50, 4 * 50]


def test_probabilities_and_columns_of_text_with_gaps_are_measured_too():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"city": rng.choice(["Rome", "Oslo", None], 400), "noise": rng.normal(size=400)})
    is_rome = (frame["city"] == "Rome").to_numpy()

    def encoded(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[["city", "noise"]].assign(city=rows["city"].map({"Rome": 1, "Oslo": 2}).fillna(0))

    model = RandomForestClassifier(10, max_depth=3, random_state=0).fit(encoded(frame), is_rome)
    city, noise = permutation_importance(
        lambda rows: model.predict_proba(encoded(rows)),
        frame,
        is_rome,
        features=["noise", "city"],
        score=lambda y_true, y_score: -log_loss(y_true, y_score, labels=[False, True]),
    )
    assert (city.feature, noise.feature) == ("city", "noise")
    assert city.importance > 0.2 > abs(noise.importance)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frame": FRAME.head(0)}, "Importance needs rows and at least 2 repetitions, found 0 rows and 5"),
        ({"n_repeats": 1}, "found 600 rows and 1"),
        ({"score": lambda y_true, y_pred: float("nan")}, "The score for the importance of features is nan"),
    ],
)
def test_what_gives_no_measurement_is_an_error(settings, message):
    with pytest.raises(EvaluationError, match=message):
        _measure(**settings)
