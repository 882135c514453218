from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from airflow_mlops.adapters.model_files.skops import TRUSTED_TYPES, load_model, types_to_trust
from airflow_mlops.errors import IntegrityError, MissingExtraError, UntrustedModelError

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


class Foreign(ClassifierMixin, BaseEstimator):
    def fit(self, x, y):
        self.value_ = y[0]
        return self

    def predict(self, x):
        return np.full(len(x), self.value_)


FOREIGN = f"{Foreign.__module__}.Foreign"


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingRegressor(max_iter=3),
        RandomForestClassifier(3),
        LogisticRegression(),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        CalibratedClassifierCV(LogisticRegression(), cv=2, method="isotonic"),
        make_pipeline(StandardScaler(), LogisticRegression()),
        XGBClassifier(n_estimators=3),
        XGBRegressor(n_estimators=3),
        XGBRFClassifier(n_estimators=3),
        make_pipeline(StandardScaler(), XGBClassifier(n_estimators=3, booster="dart")),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_of_a_known_library_is_loaded_without_trusting_anything_more(tmp_path, model):
    model.fit(X, Y)
    assert set(types_to_trust(model)) <= TRUSTED_TYPES
    skops.io.dump(model, tmp_path / "model.skops")
    assert load_model(tmp_path).predict(X).tolist() == model.predict(X).tolist()


def test_a_model_of_a_library_that_is_not_installed_says_how_to_install_it(tmp_path, monkeypatch):
    skops.io.dump(XGBClassifier(n_estimators=3).fit(X, Y), tmp_path / "model.skops")
    monkeypatch.setitem(sys.modules, "xgboost", None)  # what Python itself does for a module that is not to be found
    with pytest.raises(MissingExtraError) as raised:
        load_model(tmp_path)
    assert str(raised.value) == (
        f"The stored model, which holds xgboost's types, needs 'xgboost', which {sys.executable} does not have. "
        f"Nothing was changed. Install it there: pip install 'airflow-mlops[xgboost]'"
    )


def test_a_model_with_a_foreign_class_is_not_stored_and_its_type_is_named():
    with pytest.raises(UntrustedModelError, match=f"The trained model holds types .*'{FOREIGN}'.*trusted_types"):
        types_to_trust(Foreign().fit(X, Y))


def test_a_model_with_a_foreign_class_is_not_loaded_and_its_type_is_named(tmp_path):
    skops.io.dump(Foreign().fit(X, Y), tmp_path / "model.skops")
    with pytest.raises(UntrustedModelError, match=f"The stored model holds types .*'{FOREIGN}'"):
        load_model(tmp_path)


def test_a_foreign_class_inside_a_pipeline_is_found():
    with pytest.raises(UntrustedModelError, match=FOREIGN):
        types_to_trust(make_pipeline(StandardScaler(), Foreign()).fit(X, Y))


def test_a_foreign_class_that_the_platform_trusts_is_stored_and_loaded(tmp_path):
    model = Foreign().fit(X, Y)
    assert types_to_trust(model, [FOREIGN]) == [FOREIGN]
    skops.io.dump(model, tmp_path / "model.skops")
    assert load_model(tmp_path, [FOREIGN]).predict(X).tolist() == model.predict(X).tolist()


def test_only_what_the_model_needs_is_trusted():
    assert types_to_trust(LogisticRegression().fit(X, Y), [FOREIGN]) == []


def test_a_pickle_is_never_loaded(tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LogisticRegression().fit(X, Y)))
    with pytest.raises(IntegrityError, match=r"no model\.skops, only 'model\.pkl'; pickles are not loaded"):
        load_model(tmp_path)


def test_what_skops_can_not_store_is_named():
    with pytest.raises(UntrustedModelError, match=r"a Birch, can't be stored without pickle: .*training\.allow_pickle"):
        types_to_trust(Birch().fit(X))
