from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from airflow_mlops.adapters.model_files.skops import load_model, types_to_trust
from airflow_mlops.adapters.sklearn.preprocess import (
    default_preprocessor,
    describe_infinite,
    estimator_kind,
    prepares_its_columns,
    prepend,
)
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.errors import SpecError

N_ROWS = 300
COLUMNS = (
    Column(name="age", type="double"),
    Column(name="work", type="string"),
    Column(name="visits", type="int64"),
    Column(name="is_member", type="bool"),
    Column(name="city", type="string"),
)
DEFAULT_KINDS = [
    Ridge(),
    Lasso(alpha=0.01),
    LinearRegression(),
    LogisticRegression(),
    HistGradientBoostingRegressor(max_iter=3),
    HistGradientBoostingClassifier(max_iter=3),
    RandomForestRegressor(5, random_state=0),
    RandomForestClassifier(5, random_state=0),
    ExtraTreesRegressor(5, random_state=0),
    GradientBoostingRegressor(n_estimators=5),
    DecisionTreeClassifier(),
    SVC(),
    SVR(),
    KNeighborsClassifier(),
    KNeighborsRegressor(),
    MLPClassifier(hidden_layer_sizes=(4,), max_iter=300, tol=0.01, random_state=0),
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=300, tol=0.01, random_state=0),
    GaussianNB(),
    AdaBoostClassifier(n_estimators=3),
    BaggingRegressor(n_estimators=3),
]
LOAD_AND_PREDICT = """
import json, sys
from pathlib import Path
import numpy as np, pandas as pd
from airflow_mlops.adapters.model_files.skops import load_model

rows = pd.read_json(sys.argv[2], orient="records", dtype=False)
print(json.dumps(np.asarray(load_model(Path(sys.argv[1])).predict(rows)).tolist()))
"""


class Threshold(RegressorMixin, BaseEstimator):
    """A user's own, which speaks of columns by name."""

    def fit(self, features, target):
        self.mean_ = float(target.mean())
        return self

    def predict(self, features):
        return self.mean_ + features["age"].to_numpy()


def _frame(n_rows: int = N_ROWS, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40.0, 10.0, n_rows),
            "work": rng.choice(["private", "state", "none"], n_rows).astype(object),
            "visits": rng.integers(0, 9, n_rows),
            "is_member": rng.random(n_rows) > 0.5,
            "city": rng.choice([f"city {number}" for number in range(40)], n_rows).astype(object),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "work"] = None
    return frame


def _target(frame: pd.DataFrame) -> pd.Series:
    return ((frame["visits"] + 3 * (frame["work"] == "state")) > 4).astype(int)


def _fitted(estimator: Any) -> Any:
    frame = _frame()
    return prepend(default_preprocessor(estimator, COLUMNS, frame), estimator).fit(frame, _target(frame))


STRANGE = pd.DataFrame(
    {
        "age": [None, 30.0, None],
        "work": ["never seen", None, np.nan],
        "visits": [None, 2, 3],
        "is_member": [None, True, False],
        "city": [5, "city 1", ""],
    },
    dtype=object,
)


@pytest.mark.parametrize("estimator", DEFAULT_KINDS, ids=lambda estimator: type(estimator).__name__)
def test_what_is_stored_takes_raw_rows_with_unknown_categories_and_missing_values(tmp_path, estimator):
    model = _fitted(estimator)
    types_to_trust(model)  # nothing beyond what the platform trusts anyway
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path)
    for rows in (_frame(seed=1), STRANGE, _frame()[::-1]):
        assert np.asarray(loaded.predict(rows)).tolist() == np.asarray(model.predict(rows)).tolist()
    assert np.isfinite(np.asarray(model.predict(STRANGE), dtype=float)).all()


@pytest.mark.parametrize("estimator", [Ridge(), HistGradientBoostingRegressor(max_iter=3)])
def test_the_stored_file_alone_predicts_the_same_in_a_process_of_its_own(tmp_path, estimator):
    model = _fitted(estimator)
    skops.io.dump(model, tmp_path / "model.skops")
    rows = pd.concat([_frame(seed=1).head(20), STRANGE])
    rows.to_json(tmp_path / "rows.json", orient="records", double_precision=15)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD_AND_PREDICT, str(tmp_path), str(tmp_path / "rows.json")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == pytest.approx(model.predict(rows).tolist(), rel=1e-9)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(20, random_state=0)])
def test_none_and_nan_are_the_same_missing_value(estimator):
    model = _fitted(estimator)
    rows = _frame(seed=2)
    as_none = rows.astype(object).where(rows.notna(), None)
    as_nan = rows.assign(work=rows["work"].where(rows["work"].notna(), np.nan))
    assert model.predict_proba(as_none).tolist() == model.predict_proba(as_nan).tolist()


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(20, random_state=0)])
def test_texts_that_are_a_type_of_their_own_as_in_pandas_3_are_the_same(estimator):
    rows = pd.concat([_frame(seed=2), STRANGE])
    expected = _fitted(estimator).predict_proba(rows).tolist()
    with pd.option_context("future.infer_string", True):
        model = _fitted(estimator)
        assert model.predict_proba(rows).tolist() == expected
        typed = rows.head(N_ROWS).convert_dtypes(convert_integer=False, convert_boolean=False, convert_floating=False)
        assert model.predict_proba(typed.astype({"work": "str", "city": "str"})).tolist() == expected[:N_ROWS]


@pytest.mark.parametrize("estimator", [Ridge(), HistGradientBoostingRegressor(max_iter=3)])
def test_the_order_of_columns_and_columns_more_make_no_difference(estimator):
    model = _fitted(estimator)
    rows = _frame(seed=3)
    assert model.predict(rows[["city", *rows.columns[:-1]]].assign(more=1)).tolist() == model.predict(rows).tolist()


def test_a_column_that_is_missing_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="city"):
        _fitted(Ridge()).predict(_frame().drop(columns="city"))


def test_linear_models_get_scaled_numbers_and_know_where_one_was_missing():
    transformed = _fitted(Ridge())[:-1].transform(_frame())
    dense = np.asarray(transformed.todense() if hasattr(transformed, "todense") else transformed)
    # age, visits, is_member, whether age was missing; then three works and a missing one, 40 cities
    assert dense.shape == (N_ROWS, 4 + 4 + 40)
    assert dense[:, :4].mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert dense[:, :4].std(axis=0) == pytest.approx(1)


def test_trees_get_the_columns_in_their_order_with_missing_numbers_as_they_are():
    transformed = _fitted(HistGradientBoostingRegressor(max_iter=3))[:-1].transform(_frame())
    assert list(transformed.columns) == [column.name for column in COLUMNS]
    assert transformed["age"].isna().equals(_frame()["age"].isna())
    assert transformed["visits"].equals(_frame()["visits"].astype(float))


def test_parameters_that_name_features_by_place_or_by_name_mean_the_raw_columns():
    for constraint in ({"visits": -1}, [0, 0, -1, 0, 0]):
        model = _fitted(HistGradientBoostingRegressor(max_iter=10, monotonic_cst=constraint))
        more = _frame().assign(visits=lambda rows: rows["visits"] + 5)
        assert (model.predict(more) <= model.predict(_frame()) + 1e-12).all()


def test_an_unknown_category_counts_as_the_rare_ones():
    frame = _frame().assign(work=["rare"] + ["usual", "often"] * (N_ROWS // 2 - 1) + ["usual"])
    model = prepend(default_preprocessor(Ridge(), COLUMNS, frame), Ridge()).fit(frame, frame["visits"])
    rare, unknown = (model.predict(frame.head(1).assign(work=work))[0] for work in ("rare", "unknown"))
    assert unknown == rare


def test_a_column_of_many_categories_stays_small():
    frame = _frame(2000).assign(city=[f"{number // 2}" for number in range(2000)])
    columns = default_preprocessor(Ridge(), COLUMNS, frame).fit_transform(frame).shape[1]
    assert columns <= 4 + 4 + 100
    codes = default_preprocessor(HistGradientBoostingRegressor(), COLUMNS, frame).fit_transform(frame)
    assert codes["city"].max() < 255


def test_a_column_without_any_value_is_no_obstacle():
    frame = _frame().assign(age=np.nan, work=None)
    for estimator in (Ridge(), GradientBoostingRegressor(n_estimators=2), HistGradientBoostingRegressor(max_iter=2)):
        model = prepend(default_preprocessor(estimator, COLUMNS, frame), estimator).fit(frame, frame["visits"])
        assert np.isfinite(model.predict(_frame())).all()


def test_decimals_are_numbers():
    frame = pd.DataFrame({"price": pd.array([1, 2, 3, 4]).astype(object)})
    columns = [Column(name="price", type="decimal128(10, 2)")]
    for estimator in (Ridge(), HistGradientBoostingRegressor()):
        model = prepend(default_preprocessor(estimator, columns, frame), estimator).fit(frame, [1.0, 2.0, 3.0, 4.0])
        assert len(model.predict(frame)) == 4


@pytest.mark.parametrize(
    "kind", ["timestamp[us]", "timestamp[us, tz=UTC]", "date32[day]", "time64[us]", "duration[us]"]
)
def test_dates_and_times_are_refused_with_what_to_do(kind):
    with pytest.raises(SpecError) as caught:
        default_preprocessor(Ridge(), [*COLUMNS, Column(name="signed_up", type=kind)], _frame())
    message = str(caught.value)
    assert message.startswith(f"Feature 'signed_up' is of type {kind}; the default preprocessing takes numbers")
    assert "Make numbers of it (hour, weekday, days since an event) in data.features" in message


@pytest.mark.parametrize("kind", ["list<item: double>", "struct<a: int64>", "binary", "map<string, int64>"])
def test_nested_and_binary_columns_are_refused(kind):
    with pytest.raises(SpecError, match=r"'x' is of type .*training\.preprocessing to your own"):
        default_preprocessor(Ridge(), [Column(name="x", type=kind)], _frame())


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (Ridge(), "scaled"),
        (SVC(), "scaled"),
        (KNeighborsClassifier(), "scaled"),
        (MLPClassifier(), "scaled"),
        (GaussianNB(), "scaled"),
        (MultinomialNB(), "counts"),
        (HistGradientBoostingClassifier(), "trees"),
        (RandomForestClassifier(), "trees"),
        (DecisionTreeClassifier(), "trees"),
        (AdaBoostClassifier(), "trees"),
        (AdaBoostClassifier(LogisticRegression()), "scaled"),
        (BaggingRegressor(SVR()), "scaled"),
        (CalibratedClassifierCV(RandomForestClassifier()), "trees"),
        (CalibratedClassifierCV(SVC()), "scaled"),
        (GridSearchCV(HistGradientBoostingClassifier(), {}), "trees"),
        (VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor())]), "scaled"),
        (VotingRegressor([("a", ExtraTreesRegressor()), ("b", RandomForestRegressor())]), "trees"),
        (TransformedTargetRegressor(GradientBoostingRegressor()), "trees"),
        (Threshold(), "scaled"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_kind_of_an_estimator_is_found(estimator, kind):
    assert estimator_kind(estimator) == kind


def test_counts_are_not_made_negative():
    frame = _frame()
    transformed = default_preprocessor(MultinomialNB(), COLUMNS, frame).fit_transform(frame)
    assert transformed.min() >= 0


def test_a_users_own_class_finds_columns_by_name():
    assert len(_fitted(Threshold()).predict(_frame())) == N_ROWS


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), Ridge()),
        GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {}),
        TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge())),
        IsotonicRegression(),
        object(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_prepares_its_columns_itself_is_told(estimator):
    assert prepares_its_columns(estimator)
    assert not prepares_its_columns(Ridge())


@pytest.mark.parametrize("estimator", [Ridge(), HistGradientBoostingRegressor(), RandomForestRegressor(2)])
def test_an_infinite_value_is_refused_by_every_kind(estimator):
    frame = _frame()
    frame.loc[3, "age"] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        prepend(default_preprocessor(estimator, COLUMNS, frame), estimator).fit(frame, _target(frame))


def test_infinite_columns_are_named_with_how_many_and_where():
    frame = pd.DataFrame(
        {"a": [1.0, np.inf, -np.inf], "b": [1.0, np.nan, 2.0], "c": ["inf", None, "x"], "n": [1, 2, 3]}
    )
    assert describe_infinite(frame) == "'a' in 2 of 3 rows (first: inf in row 1)"
    assert describe_infinite(frame[["b", "c", "n"]]) == ""
