"""Boostings that are not scikit-learn's: stored without pickle, stopped early, evaluated and served as one object."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from airflow_mlops.errors import SpecError
from airflow_mlops.steps.registry.models import LoadedModel, load_model
from airflow_mlops.steps.training.train import training_fingerprint
from tests.steps.cases import Bench, small_frame

XGB_REGRESSOR = "xgboost.XGBRegressor"
XGB_CLASSIFIER = "xgboost.XGBClassifier"
HIST = "sklearn.ensemble.HistGradientBoostingRegressor"
FEW = {"n_estimators": 20, "n_jobs": 1}


def _shops(n_rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = small_frame(n_rows)
    frame["shop"] = rng.choice(["north", "south", "west"], n_rows)
    frame["y"] += 3.0 * (frame["shop"] == "west")
    frame["is_late"] = (frame["y"] > 1.0).astype(int)
    frame.loc[3::10, ["shop", "x"]] = None
    frame["weight"] = rng.uniform(0.5, 2.0, n_rows)
    return frame


@pytest.fixture
def shops(bench: Bench) -> Bench:
    bench.deliver(_shops())
    return bench


def _trained(bench: Bench, **training: Any) -> tuple[Any, LoadedModel]:
    """Run, and return the result with the model as it is stored."""
    is_classifier = training.get("target") == "is_late"
    metric = "accuracy" if is_classifier else "mean_absolute_error"
    gate = {"metrics": {metric: {}}, **({"baseline": "most_frequent"} if is_classifier else {})}
    defaults = {"features": ("x", "shop"), "params": {}}
    settings = bench.spec(training={**defaults, **training})
    document = settings.model_dump(mode="json") | {"gate": gate | {"cold_start": True}}
    result = bench.run("first", type(settings).parse(document))
    model = result.model
    return result, load_model("The challenger", model.model_uri, model.model_digest, platform=bench.platform)


@pytest.mark.parametrize(("estimator", "target"), [(XGB_REGRESSOR, "y"), (XGB_CLASSIFIER, "is_late")])
def test_xgboost_goes_the_whole_way_without_a_pickle(shops: Bench, estimator: str, target: str):
    result, loaded = _trained(shops, estimator=estimator, target=target, params=FEW)
    assert result.promotion.to_version == 1
    with shops.platform.mlflow.downloaded(result.model.model_uri, "") as folder:
        assert {path.name for path in folder.glob("model.*")} == {"model.skops"}
        assert "xgboost==" in (folder / "requirements.txt").read_text()
    strange = pd.DataFrame({"x": [None, 1.0], "shop": ["east", None]})
    assert loaded.predict(strange).shape == (2,)


def test_xgboost_alone_is_stored_and_loaded(shops: Bench):
    result, loaded = _trained(shops, estimator=XGB_REGRESSOR, preprocessing="none", features=("x",), params=FEW)
    assert type(loaded.model).__name__ == "XGBRegressor"
    assert result.model.metrics["train_r2"] > 0.5


def test_probabilities_are_in_the_order_of_the_classes(shops: Bench):
    _, loaded = _trained(shops, estimator=XGB_CLASSIFIER, target="is_late", params=FEW)
    scores = loaded.scores(_shops())
    assert scores.shape == (300, 2)
    assert loaded.classes.tolist() == [0, 1]
    assert loaded.classes[scores.argmax(axis=1)].tolist() == loaded.predict(_shops()).tolist()


def test_a_regressor_gives_no_probabilities(shops: Bench):
    _, loaded = _trained(shops, estimator=HIST, params={"max_iter": 5})
    assert loaded.scores(_shops()) is None
    assert loaded.classes is None


@pytest.mark.parametrize(
    ("estimator", "iterations", "trained"),
    [
        (
            XGB_REGRESSOR,
            {"n_estimators": 500},
            lambda model: model.get_booster().num_boosted_rounds(),
        ),
        (HIST, {"max_iter": 500, "learning_rate": 0.5}, lambda model: model.n_iter_),
    ],
)
def test_a_boosting_stops_early_on_rows_of_the_training_part(
    shops: Bench, estimator: str, iterations: Any, trained: Any
):
    _, loaded = _trained(
        shops, estimator=estimator, params=iterations, early_stopping={"rounds": 3}, sample_weight="weight"
    )
    assert 3 < trained(loaded.model.named_steps["model"]) < 200
    assert loaded.columns == ("x", "shop")


def test_an_estimator_without_iterations_can_not_stop_early(shops: Bench):
    with pytest.raises(SpecError, match=r"for HistGradientBoosting, XGBoost and LightGBM; Ridge is none of them"):
        _trained(shops, estimator="sklearn.linear_model.Ridge", early_stopping={})


def test_classes_are_weighed(shops: Bench):
    late = []
    for weight in (1.0, 50.0):
        _, loaded = _trained(
            shops,
            estimator=XGB_CLASSIFIER,
            target="is_late",
            params={"n_estimators": 3, "max_depth": 1, "n_jobs": 1},
            class_weight={0: 1.0, 1: weight},
        )
        late.append(int(loaded.predict(_shops()).sum()))
    assert late[0] < late[1]


def test_weights_and_stopping_make_another_model(shops: Bench):
    from airflow_mlops.steps.data.snapshot import snapshot_dataset
    from airflow_mlops.steps.splitting.split import split_dataset

    spec, storage = shops.spec(), shops.platform.storage
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=storage)
    settings = ({}, {"sample_weight": "weight"}, {"class_weight": "balanced"}, {"early_stopping": {"rounds": 5}})
    prints = {training_fingerprint(split, shops.spec(training=setting).training) for setting in settings}
    assert len(prints) == 4


def test_the_run_has_durations_and_the_fit_of_the_training_part(shops: Bench):
    result, _ = _trained(shops, estimator=HIST, params={"max_iter": 5})
    run = MlflowClient(shops.platform.mlflow.tracking_uri).get_run(result.model.run_id)
    names = {"read_seconds", "fit_seconds", "store_seconds", "train_rows", "train_r2", "train_mean_absolute_error"}
    assert names | {"train_root_mean_squared_error"} <= set(run.data.metrics)
    assert names <= set(result.model.metrics)
    assert result.model.metrics["train_rows"] == 239.0
