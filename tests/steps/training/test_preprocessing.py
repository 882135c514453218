"""From raw columns to a stored model that takes raw columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import Model
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder

from airflow_mlops.adapters.model_files.skops import load_model
from airflow_mlops.errors import SpecError, TrainingError
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import training_fingerprint
from tests.steps.cases import Bench, small_frame


def only_shop():
    return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["shop"]))


def nothing():
    return []


def _shops(n_rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = small_frame(n_rows)
    frame["shop"] = rng.choice(["north", "south", "west"], n_rows)
    frame["is_open"] = (rng.random(n_rows) > 0.2).astype(object)
    frame["staff"] = rng.integers(1, 9, n_rows)
    frame["y"] += 3.0 * (frame["shop"] == "west")
    frame.loc[3::10, ["shop", "x"]] = None
    frame.loc[200:, "is_open"] = np.where(frame.loc[200:, "staff"] > 7, None, frame.loc[200:, "is_open"])
    return frame


@pytest.fixture
def shops(bench: Bench) -> Bench:
    bench.deliver(_shops())
    return bench


def _trained(bench: Bench, **training: Any) -> tuple[Any, Any, Any]:
    """Run, and return the result with the model as it is stored and its signature."""
    spec = bench.spec(training={"params": {}, **training}, gate={"metrics": {"mean_absolute_error": {}}})
    result = bench.run("first", spec)
    with bench.platform.mlflow.downloaded(result.model.model_uri, result.model.model_digest) as folder:
        return result, load_model(folder), Model.load(str(folder)).signature


@pytest.mark.parametrize("estimator", ["sklearn.svm.SVR", "sklearn.ensemble.HistGradientBoostingRegressor"])
def test_a_plain_estimator_learns_from_text_and_missing_values_and_serves_raw_rows(shops: Bench, estimator: str):
    result, model, _ = _trained(shops, estimator=estimator)
    naive = result.evaluation.comparisons[0]
    assert naive.challenger < naive.baseline
    strange = pd.DataFrame({"x": [None, 1.0], "shop": ["east", None], "is_open": [None, True], "staff": [None, 3]})
    assert np.isfinite(model.predict(strange)).all()


def test_the_signature_shows_the_raw_columns_with_their_types(shops: Bench):
    _, _, signature = _trained(shops)
    shown = {column.name: (column.type.name, column.required) for column in signature.inputs}
    assert shown == {
        "x": ("double", False),
        "shop": ("string", False),
        "is_open": ("boolean", False),
        "staff": ("long", True),
    }


def test_hyperparameters_are_the_estimators_own(shops: Bench):
    result, model, _ = _trained(shops, params={"alpha": 7.5}, seed=11)
    assert model.named_steps["model"].alpha == 7.5
    assert model.named_steps["model"].random_state == 11
    run = MlflowClient(shops.platform.mlflow.tracking_uri).get_run(result.model.run_id)
    assert run.data.params == {"alpha": "7.5"}


def test_without_preprocessing_the_estimator_gets_the_raw_columns(shops: Bench):
    with pytest.raises(TrainingError, match=r"Ridge failed to fit .* features: ValueError: could not convert string"):
        _trained(shops, preprocessing="none")


def test_preprocessing_of_ones_own_stands_in_the_stored_model(shops: Bench):
    _, model, _ = _trained(shops, preprocessing=only_shop)
    assert model.named_steps["preprocess"].transformers_[0][2] == ["shop"]


def test_preprocessing_that_transforms_nothing_is_a_mistake_in_the_spec(shops: Bench):
    with pytest.raises(SpecError, match=r"training\.preprocessing '.*:nothing' gives list: no fit, transform"):
        _trained(shops, preprocessing=nothing)


def test_other_preprocessing_is_another_model(shops: Bench):
    spec, storage = shops.spec(), shops.platform.storage
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=storage)
    settings = ({}, {"preprocessing": "none"}, {"preprocessing": only_shop})
    prints = [training_fingerprint(split, shops.spec(training=setting).training) for setting in settings]
    assert len(set(prints)) == 3


def test_an_infinite_value_is_refused_with_its_column(shops: Bench):
    frame = _shops()
    frame.loc[4, "x"] = np.inf
    shops.deliver(frame)
    with pytest.raises(TrainingError) as caught:
        _trained(shops)
    assert "finite numbers are required, infinite is 'x' in 1 of " in str(caught.value)
    assert "(first: inf in row 4)" in str(caught.value)
    assert "Nothing was stored and the champion stays." in str(caught.value)


def test_a_timestamp_among_the_features_is_refused_with_what_to_do(shops: Bench):
    shops.deliver(_shops().assign(opened=pd.Timestamp("2019-05-01 10:00")))
    with pytest.raises(SpecError, match=r"Feature 'opened' is of type timestamp\[us\].*Make numbers of it"):
        _trained(shops)


def test_decimals_are_served_as_numbers(shops: Bench):
    spec = {"features": "SELECT day, x::DECIMAL(18, 3) AS price, y FROM dataset", "timestamp": "day"}
    result = shops.run("first", shops.spec(data=spec, gate={"metrics": {"mean_absolute_error": {}}}))
    with shops.platform.mlflow.downloaded(result.model.model_uri, result.model.model_digest) as folder:
        assert shops.platform.mlflow.input_columns(folder) == ["price"]
