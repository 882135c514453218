from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_mlops.errors import DataError, SpecError, TrainingError, UntrustedModelError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.splitting.split import split_dataset
from tests.conftest import REPOSITORY
from tests.steps import trainers
from tests.steps.cases import NOTHING_LEFT, Bench, left_by, run_named, runs_by_status, small_frame

CHILD = """
import pickle, sys

from airflow_mlops.errors import TrainingError
from airflow_mlops.steps.training.train import train_model

split, training, platform, run = pickle.load(sys.stdin.buffer)
try:
    train_model(split, training, model_name="small", platform=platform, run=run)
except TrainingError as error:
    print(error)
"""


def _by_function(bench: Bench, function: Any) -> Any:
    return bench.spec(training={"estimator": None, "params": {}, "function": function})


def _refused(bench: Bench, error: type[Exception], spec: Any) -> str:
    """Run, and return the message that the training was refused with, nothing having come of it."""
    with pytest.raises(error) as caught:
        bench.run("refused", spec)
    assert type(caught.value) is error
    assert left_by(bench.platform) == NOTHING_LEFT
    assert runs_by_status(bench.platform) == {"FAILED": 1}
    return str(caught.value)


def test_a_function_that_raises_fails_the_run_with_what_it_raised(delivered: Bench):
    message = _refused(delivered, TrainingError, _by_function(delivered, trainers.raises))
    assert message == (
        "training.function tests.steps.trainers:raises raised ZeroDivisionError: the mean of 239 rows is nothing. "
        "Nothing was stored and the champion stays."
    )


def test_a_function_that_gives_nothing_fails_the_run(delivered: Bench):
    message = _refused(delivered, TrainingError, _by_function(delivered, trainers.gives_nothing))
    assert message == (
        "training.function tests.steps.trainers:gives_nothing gave NoneType, which has no predict. Nothing was stored."
    )


def test_a_model_that_can_not_predict_what_it_learnt_from_fails_the_run(delivered: Bench):
    spec = _by_function(delivered, trainers.predicts_only_what_it_was_promised)
    message = _refused(delivered, TrainingError, spec)
    assert "The trained model can't predict rows that it was trained on: KeyError: 'no such thing'" in message


def test_a_parameter_that_the_estimator_does_not_have_is_a_mistake_in_the_spec(delivered: Bench):
    message = _refused(delivered, SpecError, delivered.spec(training={"params": {"alhpa": 1.0}}))
    assert message.startswith("training.params don't fit sklearn.linear_model.Ridge: ")
    assert "'alhpa'" in message


def test_a_parameter_of_a_value_that_the_estimator_refuses_fails_the_run(delivered: Bench):
    message = _refused(delivered, TrainingError, delivered.spec(training={"params": {"alpha": -1.0}}))
    assert message.startswith("sklearn.linear_model.Ridge failed to fit 239 rows of 1 features: InvalidParameterError")
    assert "Nothing was stored and the champion stays." in message


def test_a_type_that_nobody_trusts_is_named_and_nothing_is_stored(delivered: Bench):
    spec = delivered.spec(training={"estimator": trainers.ForeignModel, "params": {}})
    message = _refused(delivered, UntrustedModelError, spec)
    assert "types that the platform does not trust: 'tests.steps.trainers.ForeignModel'" in message
    assert "It was not stored or loaded, and the champion stays." in message
    assert "add them to [mlops] trusted_types" in message


def test_a_type_that_the_platform_trusts_is_stored_and_served(delivered: Bench):
    name = "tests.steps.trainers.ForeignModel"
    trusting = Bench(
        Platform(delivered.platform.storage, delivered.platform.mlflow, (name,)),
        delivered.inbox,
    )
    spec = trusting.spec(training={"estimator": trainers.ForeignModel, "params": {}})
    result = trusting.run("trusted", spec)
    assert result.model is not None
    assert result.evaluation.comparisons[0].challenger == pytest.approx(result.evaluation.comparisons[0].baseline)
    assert not result.blessing.is_blessed


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests.steps.no_such_module:train", "there is no module 'tests.steps.no_such_module'. Is it on PYTHONPATH?"),
        ("nonsense", "'nonsense' is no import path; write package.module:name."),
    ],
)
def test_a_function_in_no_module_is_a_mistake_in_the_spec_before_anything_is_trained(
    delivered: Bench, path: str, words: str
):
    with pytest.raises(SpecError) as caught:
        delivered.run("refused", _by_function(delivered, path))
    assert words in str(caught.value)
    assert runs_by_status(delivered.platform) == {}


def test_a_function_that_is_misspelt_is_refused_with_a_guess(delivered: Bench):
    message = _refused(delivered, SpecError, _by_function(delivered, "tests.steps.trainers:least_square"))
    assert "has no 'least_square'. Did you mean 'least_squares'?" in message


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (1.5, "The target 'y' is 1.5 in all 239 training rows: there is nothing to tell apart"),
        (np.inf, "The target 'y' is infinite in 239 of 239 training rows"),
    ],
)
def test_a_target_that_teaches_nothing_is_refused_before_anything_is_trained(bench: Bench, y: float, words: str):
    bench.deliver(small_frame().assign(y=y))
    with pytest.raises(DataError) as caught:
        bench.run("refused")
    assert words in str(caught.value)
    assert left_by(bench.platform) == NOTHING_LEFT
    assert runs_by_status(bench.platform) == {}


def test_predictions_that_are_nan_fail_the_run(delivered: Bench):
    message = _refused(delivered, TrainingError, _by_function(delivered, trainers.predicts_nan))
    assert "can't predict rows that it was trained on" in message
    assert "predicted NaN or infinity for 239 of 239 rows" in message


def test_a_model_that_predicts_the_same_for_all_rows_is_warned_of_and_not_blessed(
    delivered: Bench, caplog: pytest.LogCaptureFixture
):
    result = delivered.run("constant", _by_function(delivered, trainers.predicts_the_same))
    assert "the model predicts the same for all rows that it was asked: n_rows=239" in caplog.text
    assert not result.blessing.is_blessed
    assert left_by(delivered.platform) == NOTHING_LEFT


def test_a_weight_that_is_missing_fails_the_run_with_its_row(bench: Bench):
    frame = small_frame().assign(w=1.0)
    frame.loc[7, "w"] = None
    bench.deliver(frame)
    message = _refused(bench, DataError, bench.spec(training={"sample_weight": "w"}))
    assert "training.sample_weight 'w' must be a number of at least 0; in 1 of 239 training rows" in message


def test_no_process_of_a_failed_training_survives(delivered: Bench):
    _refused(delivered, TrainingError, _by_function(delivered, trainers.fails_with_workers))
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [pid for pid in children if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()] == []


def test_running_out_of_memory_fails_the_run_and_says_what_helps(delivered: Bench):
    spec, platform = _by_function(delivered, trainers.uses_up_the_memory), delivered.platform
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=platform.storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=platform.storage)
    done = subprocess.run(  # in a process of its own, which is what the limit holds for
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((split, spec.training, platform, run_named("the run"))),
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    message = done.stdout.decode().splitlines()[-1]
    assert message.startswith("training.function tests.steps.trainers:uses_up_the_memory raised MemoryError")
    assert "the task has used up its memory: give its worker more" in message
    assert runs_by_status(platform) == {"FAILED": 1}
    assert left_by(platform) == NOTHING_LEFT


def test_a_function_may_say_how_far_it_has_come(delivered: Bench):
    settings = {"estimator": None, "params": {"n_iterations": 500}, "function": trainers.reports}
    assert delivered.run("reporting", delivered.spec(training=settings)).promotion.to_version == 1


def test_after_a_failed_training_the_mended_one_trains_in_the_same_run(delivered: Bench):
    _refused(delivered, TrainingError, delivered.spec(training={"params": {"alpha": -1.0}}))
    assert delivered.run("refused").promotion.to_version == 1
    assert runs_by_status(delivered.platform) == {"FAILED": 1, "FINISHED": 1}
