from __future__ import annotations

import json

import pytest

from airflow_mlops import __version__, errors
from airflow_mlops.core.step_request import StepError, StepRequest, check_version
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import MlopsError, RunnerError, TrainingError
from airflow_mlops.specs import TrainingSpec

RUN = PipelineRun(pipeline="p", run_id="r")
LEAVES = [
    cls
    for cls in (getattr(errors, name) for name in errors.__all__)
    if isinstance(cls, type) and issubclass(cls, MlopsError)
]


def test_a_request_carries_values_specs_and_plain_arguments_as_json():
    training = TrainingSpec(target="y", estimator="a.b:C", params={"alpha": 1.0, "depths": (1, 2)})
    request = StepRequest.of("train", {"run_of": RUN, "training": training, "model_name": "m"}, RUN)
    document = json.loads(json.dumps(request.to_dict()))
    assert StepRequest.from_dict(document).to_dict() == request.to_dict()
    assert document["version"] == __version__
    assert document["arguments"]["model_name"] == "m"
    assert PipelineRun.from_dict(document["arguments"]["run_of"]) == RUN
    sent = TrainingSpec.parse(document["arguments"]["training"])
    assert sent.model_dump(mode="json") == training.model_dump(mode="json")


@pytest.mark.parametrize("cls", LEAVES)
def test_every_exception_of_this_package_comes_back_as_itself(cls):
    error = StepError.from_dict(StepError.of(cls("it is so")).to_dict()).exception()
    assert type(error) is cls
    assert str(error) == "it is so"


def test_a_subclass_that_nobody_else_knows_comes_back_as_the_class_above_it():
    class OddTrainingError(TrainingError):
        pass

    assert type(StepError.of(OddTrainingError("odd")).exception()) is TrainingError


@pytest.mark.parametrize("name", ["KeyError", "bounded", "annotations"])
def test_what_is_not_an_exception_of_this_package_is_a_runtime_error_that_airflow_retries(name):
    error = StepError(type=name, message="x").exception()
    assert type(error) is RuntimeError
    assert str(error) == f"{name}: x"


@pytest.mark.parametrize("version", [None, "0.0.9", f"{__version__}.post1", 1])
def test_another_version_is_refused_and_both_are_named(version):
    with pytest.raises(RunnerError) as caught:
        check_version(version, "/v/bin/python")
    assert f"airflow-mlops {version}, but /v/bin/python has {__version__}" in str(caught.value)
    assert "Nothing was run." in str(caught.value)


def test_the_same_version_is_accepted():
    check_version(__version__, "/v/bin/python")
