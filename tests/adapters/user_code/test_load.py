from __future__ import annotations

import sys

import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from airflow_mlops.adapters.user_code.load import call_trainer, code_digest, load_object, make_estimator
from airflow_mlops.core.training.fit import Progress
from airflow_mlops.errors import SpecError, TrainingError
from airflow_mlops.specs import TrainingSpec

CODE = """
class Holder:
    class Inner:
        pass

class Model:
    def predict(self, frame):
        return frame["x"]

def train(data, params):
    params["touched"] = True
    model = Model()
    model.seen = (len(data), params["depth"])
    return model

def broken(data, params):
    raise KeyError("co2")

def nothing(data, params):
    return None

def reporting(data, params, progress=None):
    progress(1, 3)
    return Model()

def make_list():
    return []
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_for_tests.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "mine_for_tests.py"
    sys.modules.pop("mine_for_tests", None)


def _function(name: str, **settings) -> TrainingSpec:
    return TrainingSpec(target="y", function=f"mine_for_tests:{name}", **settings)


@pytest.mark.parametrize("path", ["sklearn.linear_model.Ridge", "sklearn.linear_model:Ridge"])
def test_an_object_is_found_by_its_path_in_either_form(path):
    assert load_object(path) is Ridge


def test_a_class_inside_a_class_is_found(mine):
    assert load_object("mine_for_tests:Holder.Inner").__qualname__ == "Holder.Inner"


@pytest.mark.parametrize("path", ["Ridge", "", ":Ridge", "module:"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(SpecError, match=r"is no import path; write package\.module:name"):
        load_object(path)


def test_a_module_that_is_not_there_is_named(mine):
    with pytest.raises(SpecError, match=r"'mine_for_test:train': can't import 'mine_for_test'.*PYTHONPATH"):
        load_object("mine_for_test:train")


def test_a_name_that_is_not_in_the_module_is_named_with_a_suggestion(mine):
    with pytest.raises(SpecError, match=r"has no 'trian'\. Did you mean 'train'\?"):
        load_object("mine_for_tests:trian")


def test_a_change_of_the_module_is_a_change_of_the_digest_and_importing_it_is_none(mine):
    before = code_digest("mine_for_tests:train")
    load_object("mine_for_tests:train")
    assert code_digest("mine_for_tests.broken") == before
    mine.write_text(CODE + "# changed\n")
    assert code_digest("mine_for_tests:train") != before


@pytest.mark.parametrize("path", ["no_such_module:x", "json.no_such:x", "no_such.module:x", "sys:exit"])
def test_code_without_a_file_has_no_digest(path):
    with pytest.raises(SpecError, match="there is no module"):
        code_digest(path)


def test_an_estimator_is_made_with_its_parameters_and_seeded():
    spec = TrainingSpec(target="y", estimator="sklearn.linear_model.Ridge", params={"alpha": 0.5}, seed=7)
    estimator = make_estimator(spec)
    assert (estimator.alpha, estimator.random_state) == (0.5, 7)


def test_a_seed_that_is_given_is_kept():
    spec = TrainingSpec(target="y", estimator="sklearn.linear_model.Ridge", params={"random_state": 3}, seed=7)
    assert make_estimator(spec).random_state == 3


def test_an_estimator_within_a_pipeline_is_seeded_too(tmp_path, monkeypatch):
    (tmp_path / "piped_for_tests.py").write_text(
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.linear_model import Ridge\n"
        "def make(alpha): return make_pipeline(Ridge(alpha=alpha))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec = TrainingSpec(target="y", estimator="piped_for_tests:make", params={"alpha": 2.0}, seed=7)
    assert make_estimator(spec).named_steps["ridge"].random_state == 7


def test_parameters_that_the_estimator_does_not_take_are_a_mistake_in_the_spec():
    spec = TrainingSpec(target="y", estimator="sklearn.linear_model.Ridge", params={"alhpa": 1})
    with pytest.raises(SpecError, match=r"training\.params don't fit sklearn\.linear_model\.Ridge: .*'alhpa'"):
        make_estimator(spec)


def test_what_has_no_fit_and_predict_is_no_estimator(mine):
    with pytest.raises(SpecError, match="gives list"):
        make_estimator(TrainingSpec(target="y", estimator="mine_for_tests:make_list"))


def test_a_training_function_gets_the_rows_and_a_copy_of_the_parameters(mine):
    spec = _function("train", params={"depth": 3})
    assert call_trainer(spec, pd.DataFrame({"x": [1, 2]}), Progress()).seen == (2, 3)
    assert spec.params == {"depth": 3}


def test_a_training_function_that_raises_is_named_with_what_it_raised(mine):
    with pytest.raises(
        TrainingError, match=r"training\.function mine_for_tests:broken raised KeyError: 'co2'"
    ) as caught:
        call_trainer(_function("broken"), pd.DataFrame(), Progress())
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_training_function_that_gives_no_model_is_refused(mine):
    with pytest.raises(TrainingError, match=r"gave NoneType, which has no predict\. Nothing was stored"):
        call_trainer(_function("nothing"), pd.DataFrame(), Progress())


def test_a_training_function_that_asks_for_it_can_say_how_far_it_has_come(mine):
    progress = Progress()
    call_trainer(_function("reporting"), pd.DataFrame(), progress)
    assert progress.seen() == (1, 3)
