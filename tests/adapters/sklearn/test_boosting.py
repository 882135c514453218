"""How the boosting libraries stop early and show how far they have come."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from airflow_mlops.core.training.fit import Progress, Rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
Y = X[:, 0] + RNG.normal(size=300)
LEARNT, HELD_OUT = (
    Rows(features=X[part], target=Y[part], weights=np.ones(150)) for part in (slice(150), slice(150, 300))
)

ESTIMATORS = {
    "hist_gradient_boosting": ("sklearn.ensemble", "HistGradientBoostingRegressor", {"max_iter": 200}, "n_iter_"),
    "xgboost": ("xgboost", "XGBRegressor", {"n_estimators": 200, "n_jobs": 1}, "best_iteration"),
    "lightgbm": ("lightgbm", "LGBMRegressor", {"n_estimators": 200, "n_jobs": 1, "verbose": -1}, "best_iteration_"),
}


@pytest.fixture(params=ESTIMATORS)
def library(request: pytest.FixtureRequest) -> tuple[ModuleType, Any, str]:
    """The adapter, an estimator, and the attribute that says how many iterations it was fitted with."""
    module, name, params, fitted = ESTIMATORS[request.param]
    estimator = getattr(pytest.importorskip(module), name)(**params)
    return importlib.import_module(f"airflow_mlops.adapters.sklearn.{request.param}"), estimator, fitted


def test_iterations_are_seen(library: tuple[ModuleType, Any, str]):
    adapter, estimator, _ = library
    progress = Progress()
    with adapter.watching(estimator, progress) as arguments:
        estimator.fit(X, Y, **arguments)
    assert progress.seen() == (200, 200)


def test_it_stops_when_the_held_out_rows_get_no_better(library: tuple[ModuleType, Any, str]):
    adapter, estimator, fitted = library
    arguments = adapter.stop_early(estimator, 3, HELD_OUT)
    estimator.fit(LEARNT.features, LEARNT.target, sample_weight=LEARNT.weights, **arguments)
    assert 0 < getattr(estimator, fitted) < 150


def test_what_watches_xgboost_is_not_stored_with_the_model():
    xgboost = importlib.import_module("xgboost")
    adapter = importlib.import_module("airflow_mlops.adapters.sklearn.xgboost")
    own = [xgboost.callback.EvaluationMonitor(period=1000)]
    for callbacks in (None, own):
        model = xgboost.XGBRegressor(n_estimators=2, callbacks=callbacks)
        with adapter.watching(model, Progress()) as arguments:
            model.fit(X, Y, **arguments)
        assert model.callbacks == callbacks


def test_a_forest_of_xgboost_is_fitted_without_being_watched():
    model = importlib.import_module("xgboost").XGBRFRegressor(n_estimators=3)
    progress = Progress()
    with importlib.import_module("airflow_mlops.adapters.sklearn.xgboost").watching(model, progress) as arguments:
        model.fit(X, Y, **arguments)
    assert progress.seen() is None
