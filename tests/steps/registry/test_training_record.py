"""The record of a training: what it says, and who verifies it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow import MlflowClient

from airflow_mlops import __version__
from airflow_mlops.core.registry.training_record import RECORD_TAG, TrainingRecord, read_packages
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.pipeline import PipelineResult, run_pipeline
from airflow_mlops.steps.registry.training_record import load_record
from airflow_mlops.steps.splitting.split import split_dataset
from tests.stage import Stage
from tests.steps import trainers
from tests.steps.cases import Bench, deliver, promote_first


def _client(bench: Bench) -> MlflowClient:
    return MlflowClient(bench.platform.mlflow.tracking_uri)


def _rewrite(bench: Bench, run_id: str, name: str, text: str) -> None:
    _client(bench).log_text(run_id, text, name)


def _run_by_schedule(bench: Bench) -> PipelineResult:
    run = PipelineRun(pipeline="small", run_id="second", trigger="scheduled", actor="ada", try_number=2)
    return run_pipeline(bench.spec(), platform=bench.platform, run=run)


@pytest.fixture
def second(bench: Bench, stage: Stage) -> tuple[Bench, PipelineResult]:
    """Version 2, which was trained in the second try, when version 1 was champion."""
    return bench, stage.after(bench, deliver, promote_first, _run_by_schedule)


def test_the_record_says_what_a_version_was_made_of_and_where_and_why(second: tuple[Bench, PipelineResult]):
    bench, result = second
    record, packages = load_record(result.version, platform=bench.platform)
    assert record.run == PipelineRun(pipeline="small", run_id="second", trigger="scheduled", actor="ada", try_number=2)
    assert record.reasons == result.decision.reasons
    assert record.champion_version == 1
    assert record.training == bench.spec().training
    assert record.split == result.split
    assert record.split.recipe.split == bench.spec().split
    assert record.split.recipe.snapshot_uri == result.snapshot.uri
    assert (record.fingerprint, record.model_digest) == (result.model.fingerprint, result.model.model_digest)
    assert [module.import_path for module in record.code] == ["sklearn.linear_model.Ridge"]
    assert record.code[0].commit == ""
    assert set(record.durations_s) == {"read", "fit", "store"}
    assert record.n_threads >= 1
    assert record.package_version == __version__
    assert read_packages(packages)["mlflow"]


def test_the_record_is_an_artifact_that_run_and_version_name_by_its_digest(second: tuple[Bench, PipelineResult]):
    bench, result = second
    document = json.loads(bench.platform.mlflow.read_text(result.model.run_id, "training_record.json"))
    assert digest_of(document) == result.model.record_digest
    assert _client(bench).get_run(result.model.run_id).data.tags[RECORD_TAG] == result.model.record_digest
    assert result.version.tags[RECORD_TAG] == result.model.record_digest
    assert TrainingRecord.from_dict(document).to_dict() == document


def test_the_modules_of_function_and_preprocessing_are_in_the_record(delivered: Bench):
    spec = delivered.spec(training={"estimator": None, "params": {}, "function": trainers.least_squares})
    record, _ = load_record(delivered.run("first", spec).version, platform=delivered.platform)
    (module,) = record.code
    assert module.import_path == "tests.steps.trainers:least_squares"
    assert [(each.rule, each.verdict) for each in record.reasons] == [("cold_start", "RETRAIN")]
    assert record.champion_version is None


def test_a_secret_of_a_joined_tables_source_is_not_in_the_split(delivered: Bench):
    weather = {
        "name": "weather",
        "source": {
            "function": "tests.steps.registry.test_training_record:weather",
            "function_params": {"token": "s3cret"},
            "timestamp": "day",
        },
    }
    spec = delivered.spec(data={"feature_tables": [weather]})
    result = delivered.run("first", spec)
    assert "s3cret" not in json.dumps(result.split.to_dict())
    assert result.split.recipe.feature_tables[0].source.path == "small.weather"


def weather(window_start: Any, window_end: Any, *, token: str) -> Any:
    import pandas as pd

    return pd.DataFrame({"day": pd.date_range("2020-01-01", periods=300, freq="D"), "rain": 1.0})


def test_a_version_without_a_record_is_refused(serving: Bench):
    version = serving.platform.mlflow.get_version("small", 1)
    _client(serving).delete_model_version_tag("small", "1", RECORD_TAG)
    with pytest.raises(IntegrityError) as caught:
        load_record(serving.platform.mlflow.get_version("small", 1), platform=serving.platform)
    assert str(caught.value).startswith("small v1 has no tag mlops.record_digest, so nobody knows what it was made of")
    assert load_record(version, platform=serving.platform)[0].model_name == "small"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("training_record.json", '{"kind": "TrainingRecord"}', "training_record.json in its MLflow run has digest"),
        ("training_record.json", "{", "training_record.json in its MLflow run is damaged"),
        ("environment.txt", "numpy==0.1\n", "environment.txt in its MLflow run has digest"),
    ],
)
def test_a_record_that_was_changed_is_refused(serving: Bench, name: str, text: str, words: str):
    version = serving.platform.mlflow.get_version("small", 1)
    _rewrite(serving, version.run_id, name, text)
    with pytest.raises(IntegrityError, match=words):
        load_record(version, platform=serving.platform)


def test_the_record_of_another_model_is_refused(two_versions: Bench):
    mlflow = two_versions.platform.mlflow
    first, second = mlflow.get_version("small", 1), mlflow.get_version("small", 2)
    for name in ("training_record.json", "environment.txt"):
        _rewrite(two_versions, second.run_id, name, mlflow.read_text(first.run_id, name))
    _client(two_versions).set_model_version_tag("small", "2", RECORD_TAG, first.tags[RECORD_TAG])
    with pytest.raises(IntegrityError, match="small v2: the model's files in its MLflow run has digest"):
        load_record(mlflow.get_version("small", 2), platform=two_versions.platform)


def test_a_run_that_lost_its_record_is_refused(serving: Bench):
    version = serving.platform.mlflow.get_version("small", 1)
    with pytest.raises(IntegrityError, match=f"The MLflow run {version.run_id} has no file gone.json. Was it removed"):
        serving.platform.mlflow.read_text(version.run_id, "gone.json")


def test_a_split_that_was_made_before_recipes_were_noted_is_read(delivered: Bench):
    spec, storage = delivered.spec(), delivered.platform.storage
    result = delivered.run("first")
    place = ("splits", "small", storage.names("splits", "small")[0], "split.json")
    document = storage.read_json(*place)
    del document["recipe"]
    storage.write_json(document, *place)
    again = split_dataset(result.snapshot, spec.data, spec.split, storage=storage)
    assert again.recipe is None
    assert again.digest == result.split.digest
