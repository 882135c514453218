from __future__ import annotations

import functools
import json

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import TrainingSpec


def train(data, params):
    return None


class Estimators:
    class Nested:
        pass


@pytest.mark.parametrize("settings", [{}, {"estimator": "a.B", "function": "a:b"}, {"estimator": ""}])
def test_there_is_exactly_one_way_to_make_a_model(settings):
    with pytest.raises(SpecError, match="give either `estimator` or `function`"):
        TrainingSpec(target="y", **settings)


def test_an_object_is_kept_as_the_path_that_it_is_imported_by():
    assert TrainingSpec(target="y", function=train).function == f"{__name__}:train"
    assert TrainingSpec(target="y", estimator=Estimators.Nested).estimator == f"{__name__}:Estimators.Nested"


def test_an_import_path_is_kept_as_it_is():
    assert TrainingSpec(target="y", estimator="a.b.C").estimator == "a.b.C"


@pytest.mark.parametrize("thing", [lambda data, params: None, functools.partial(train), 3])
def test_what_no_other_process_could_import_is_refused(thing):
    with pytest.raises(SpecError, match="function: must be importable: move it to a module"):
        TrainingSpec(target="y", function=thing)


def test_a_function_of_the_main_script_is_refused(monkeypatch):
    monkeypatch.setattr(train, "__module__", "__main__")
    with pytest.raises(SpecError, match="must be importable"):
        TrainingSpec(target="y", function=train)


def test_the_target_may_not_be_a_feature():
    with pytest.raises(SpecError, match="the target 'y' is among the features"):
        TrainingSpec(target="y", estimator="a.B", features=["x", "y"])


def test_an_empty_list_of_features_is_refused():
    with pytest.raises(SpecError, match="`features` is empty; leave it out"):
        TrainingSpec(target="y", estimator="a.B", features=[])


def test_the_target_needs_a_name():
    with pytest.raises(SpecError, match="target: "):
        TrainingSpec(target="", estimator="a.B")


def test_a_spec_made_from_an_object_survives_the_way_through_json():
    spec = TrainingSpec(target="y", function=train, features=["x"], params={"alpha": 0.5, "layers": [3, 4]})
    assert TrainingSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_an_estimator_gets_the_default_preprocessing_unless_said_otherwise():
    assert TrainingSpec(target="y", estimator="a.B").preprocessing == "default"
    assert TrainingSpec(target="y", estimator="a.B", preprocessing="none").preprocessor is None


def test_preprocessing_of_ones_own_is_kept_as_its_import_path():
    spec = TrainingSpec(target="y", estimator="a.B", preprocessing=Estimators.Nested)
    assert spec.preprocessor == f"{__name__}:Estimators.Nested"
    assert TrainingSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize("value", ["defualt", "", "x"])
def test_a_preprocessing_that_is_no_path_is_refused(value):
    with pytest.raises(SpecError, match="preprocessing: must be `default`, `none`, or the import path"):
        TrainingSpec(target="y", estimator="a.B", preprocessing=value)


def test_a_function_has_no_preprocessing_beside_it():
    assert TrainingSpec(target="y", function="a:b", preprocessing="none").preprocessor is None
    with pytest.raises(SpecError, match="put the preprocessing into what it returns"):
        TrainingSpec(target="y", function="a:b", preprocessing="a:c")


def test_classes_are_named_by_their_text_so_that_they_survive_the_way_through_json():
    spec = TrainingSpec(target="y", estimator="a.B", class_weight={0: 1.0, True: 2.0})
    assert spec.class_weight == {"0": 1.0, "True": 2.0}
    assert TrainingSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_class_weight_that_is_no_weight_is_refused(weight):
    with pytest.raises(SpecError, match=r"class_weight"):
        TrainingSpec(target="y", estimator="a.B", class_weight={"a": weight})


def test_the_weight_of_a_row_is_neither_target_nor_feature():
    with pytest.raises(SpecError, match="`sample_weight` is the target 'y'"):
        TrainingSpec(target="y", estimator="a.B", sample_weight="y")
    with pytest.raises(SpecError, match="the sample_weight 'w' is among the features"):
        TrainingSpec(target="y", estimator="a.B", sample_weight="w", features=["x", "w"])


@pytest.mark.parametrize("setting", [{"class_weight": "balanced"}, {"early_stopping": {}}])
def test_a_function_weighs_and_stops_by_itself(setting):
    with pytest.raises(SpecError, match="`function` fits the model itself"):
        TrainingSpec(target="y", function="a:b", **setting)


@pytest.mark.parametrize("setting", [{"rounds": 0}, {"fraction": 0.0}, {"fraction": 1.0}, {"patience": 3}])
def test_early_stopping_that_can_not_be_is_refused(setting):
    with pytest.raises(SpecError, match=rf"early_stopping\.{next(iter(setting))}"):
        TrainingSpec(target="y", estimator="a.B", early_stopping=setting)
