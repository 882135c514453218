"""A stored model, loaded to predict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.errors import EvaluationError, SpecError, UntrustedModelError
from airflow_mlops.steps.registry.models import LoadedModel, load_model
from tests.steps import trainers
from tests.steps.cases import Bench

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


class Answers:
    """Gives the probabilities that it was told to."""

    def __init__(self, scores: Any, classes: Any = None) -> None:
        self.scores = scores
        if classes is not None:
            self.classes_ = classes

    def predict_proba(self, frame: Any) -> Any:
        return self.scores


def _loaded(scores: Any, classes: Any = None) -> LoadedModel:
    return LoadedModel(who="The challenger", model=Answers(scores, classes), columns=("x",))


def test_probabilities_are_numbers_with_a_column_for_each_class():
    scores = _loaded([[0, 1], [1, 0], [0.5, 0.5]], ["a", "b"]).scores(FRAME)
    assert scores.dtype == np.float64
    assert scores.tolist() == [[0, 1], [1, 0], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("scores", "classes"),
    [([0.1, 0.2, 0.3], ["a", "b"]), ([[0.1, 0.9]], ["a", "b"]), ([[0.1, 0.9]] * 3, ["a", "b", "c"])],
)
def test_probabilities_of_another_shape_are_refused(scores: Any, classes: Any):
    with pytest.raises(EvaluationError, match=r"The challenger gave probabilities of shape .* is rows by classes"):
        _loaded(scores, classes).scores(FRAME)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_probabilities_that_are_none_are_refused(wrong: float):
    with pytest.raises(EvaluationError, match=r"gave probabilities that are none .* in 1 of 3 rows"):
        _loaded([[0.1, 0.9], [wrong, wrong], [0.5, 0.5]], ["a", "b"]).scores(FRAME)


def test_a_model_that_only_a_pickle_can_hold_is_refused_by_default(delivered: Bench):
    spec = delivered.spec(training={"estimator": trainers.HoldsAFunction, "params": {}})
    with pytest.raises(UntrustedModelError, match=r"was not stored .*training\.allow_pickle"):
        delivered.run("refused", spec)


def test_a_spec_alone_can_not_allow_pickle(delivered: Bench):
    spec = delivered.spec(training={"estimator": trainers.HoldsAFunction, "params": {}, "allow_pickle": True})
    with pytest.raises(SpecError, match=r"\[mlops\] allow_pickle is not set\. Nothing was trained"):
        delivered.run("refused", spec)


@pytest.fixture
def pickled(delivered: Bench) -> tuple[Bench, Any]:
    """A model that was stored by pickle, which spec and platform both allow."""
    bench = Bench(replace(delivered.platform, allow_pickle=True), delivered.inbox)
    spec = bench.spec(training={"estimator": trainers.HoldsAFunction, "params": {}, "allow_pickle": True})
    return bench, bench.run("pickled", spec)


def test_where_both_allow_it_a_pickle_goes_the_whole_way(pickled: tuple[Bench, Any]):
    bench, result = pickled
    assert result.promotion.to_version == 1
    model = result.model
    assert load_model("It", model.model_uri, model.model_digest, platform=bench.platform).predict(FRAME).shape == (3,)


def test_a_pickle_is_not_loaded_by_a_platform_that_allows_none(pickled: tuple[Bench, Any]):
    bench, result = pickled
    strict = replace(bench.platform, allow_pickle=False)
    with pytest.raises(UntrustedModelError, match=r"It is stored as a pickle.* the platform loads none"):
        load_model("It", result.model.model_uri, result.model.model_digest, platform=strict)


def test_a_pickle_that_nothing_vouches_for_is_not_loaded(pickled: tuple[Bench, Any]):
    bench, result = pickled
    with pytest.raises(UntrustedModelError, match="nothing verifies its files"):
        load_model("It", result.model.model_uri, "", platform=bench.platform)


def test_where_skops_can_store_a_model_no_pickle_is_made(delivered: Bench):
    bench = Bench(replace(delivered.platform, allow_pickle=True), delivered.inbox)
    result = bench.run("skops", bench.spec(training={"allow_pickle": True}))
    with bench.platform.mlflow.downloaded(result.model.model_uri, "") as folder:
        assert not (folder / "model.pkl").exists()
