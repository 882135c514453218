"""The adapter on a real MLflow store: SQLite and files in a temporary folder, no server."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from airflow_mlops.adapters.mlflow.client import Mlflow, model_digest
from airflow_mlops.adapters.model_files.skops import load_model
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import IntegrityError, MlopsError

FRAME = pd.DataFrame({"b": np.arange(20.0), "a": np.arange(20.0) ** 2})
TARGET = 2 * FRAME["b"] + 1
TAGS = {"mlops.step_key": "sha256:1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def tracking(folder, mlflow_database) -> Mlflow:
    shutil.copy(mlflow_database, folder / "mlflow.db")
    return Mlflow(f"sqlite:///{folder}/mlflow.db")


def _train(tracking: Mlflow, name: str) -> TrainedModel:
    model = Ridge().fit(FRAME, TARGET)
    with tracking.start_run(name, name="run 1", tags=TAGS) as run:
        uri = tracking.log_training(
            model=model,
            example=FRAME,
            predictions=model.predict(FRAME),
            params={"alpha": 1.0},
            metrics={"train_rows": 20.0},
            dataset=("train", "/data/train.parquet", "sha256:" + "ab" * 32),
            requirements=["scikit-learn"],
            trusted_types=[],
        )
    return TrainedModel(
        model_name=name,
        run_id=run.info.run_id,
        model_uri=uri,
        model_digest=tracking.digest_of_model(uri),
        fingerprint="sha256:f",
        snapshot_digest="sha256:s",
        split_digest="sha256:p",
        target="y",
        features=("b", "a"),
        params={"alpha": 1.0},
    )


@pytest.fixture(scope="module")
def trained(tracking) -> TrainedModel:
    return _train(tracking, "trained")


def _register(tracking: Mlflow, model: TrainedModel, **tags: str):
    tags = {"mlops.model_digest": model.model_digest, "mlops.snapshot_digest": "sha256:s", **tags}
    return tracking.create_version(model, tags, "what it is")


def _status(tracking: Mlflow, run_id: str) -> str:
    return mlflow.MlflowClient(tracking.tracking_uri).get_run(run_id).info.status


def test_a_run_ends_finished_and_is_found_by_its_tags(tracking):
    with tracking.start_run("runs", name="n", tags={"k": "1", "l": "2"}) as run:
        assert _status(tracking, run.info.run_id) == "RUNNING"
        assert tracking.find_run("runs", {"k": "1"}) is None
    assert _status(tracking, run.info.run_id) == "FINISHED"
    assert tracking.find_run("runs", {"k": "1", "l": "2"}).info.run_id == run.info.run_id
    assert tracking.find_run("runs", {"k": "1", "l": "3"}) is None
    assert tracking.find_run("other runs", {"k": "1"}) is None


def test_a_run_whose_block_raises_ends_failed_and_counts_as_none(tracking):
    with pytest.raises(KeyError), tracking.start_run("failing", name="n", tags=TAGS) as run:
        raise KeyError
    assert _status(tracking, run.info.run_id) == "FAILED"
    assert tracking.find_run("failing", TAGS) is None


def test_of_several_runs_the_newest_is_found(tracking):
    for _ in range(2):
        with tracking.start_run("several", name="n", tags=TAGS) as run:
            pass
    assert tracking.find_run("several", TAGS).info.run_id == run.info.run_id


def test_runs_that_an_earlier_try_left_open_are_killed_and_no_others(tracking):
    client = mlflow.MlflowClient(tracking.tracking_uri)
    experiment = client.create_experiment("abandoned")
    mine = [client.create_run(experiment, tags=TAGS).info.run_id for _ in range(2)]
    others = client.create_run(experiment, tags={"mlops.step_key": "sha256:2"}).info.run_id
    with tracking.start_run("abandoned", name="n", tags=TAGS) as finished:
        pass
    assert tracking.end_abandoned_runs("abandoned", TAGS) == 2
    assert [_status(tracking, run_id) for run_id in mine] == ["KILLED", "KILLED"]
    assert _status(tracking, others) == "RUNNING"
    assert _status(tracking, finished.info.run_id) == "FINISHED"
    assert tracking.end_abandoned_runs("abandoned", TAGS) == 0


def test_a_training_leaves_all_that_it_can_be_traced_by(tracking, trained):
    run = tracking.find_run("trained", TAGS)
    assert run.info.run_id == trained.run_id
    assert run.data.params == {"alpha": "1.0"}
    assert run.data.metrics["train_rows"] == 20.0
    (recorded,) = run.inputs.dataset_inputs
    assert (recorded.dataset.name, recorded.dataset.digest) == ("train", "ab" * 16)
    assert "/data/train.parquet" in recorded.dataset.source


def test_tags_and_metrics_can_be_added_to_a_run_that_has_ended(tracking, trained):
    tracking.set_tags(trained.run_id, {"mlops.blessing": "BLESSED"})
    tracking.log_metrics(trained.run_id, {"test_mae": 0.5})
    run = tracking.find_run("trained", {"mlops.blessing": "BLESSED"})
    assert run.data.metrics["test_mae"] == 0.5


def test_files_are_kept_with_a_run_that_has_ended_and_vouched_for_by_their_digest(tracking, trained, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"a graph")
    digest = tracking.log_files(trained.run_id, tmp_path, "onnx")
    assert digest == tracking.log_files(trained.run_id, tmp_path, "onnx") == model_digest(tmp_path)
    with tracking.downloaded(f"runs:/{trained.run_id}/onnx", digest) as stored:
        assert (stored / "model.onnx").read_bytes() == b"a graph"


def test_a_model_is_stored_without_a_pickle_and_predicts_what_it_did(tracking, trained):
    with tracking.downloaded(trained.model_uri, trained.model_digest) as folder:
        names = {path.name for path in folder.rglob("*")}
        assert "model.skops" in names
        assert not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names)
        assert tracking.input_columns(folder) == ["b", "a"]
        assert load_model(folder).predict(FRAME) == pytest.approx(Ridge().fit(FRAME, TARGET).predict(FRAME))
    assert not folder.exists()


def test_a_registered_version_has_the_digest_of_the_model_that_was_logged(tracking, trained):
    version = _register(tracking, trained)
    assert tracking.digest_of_model(trained.model_uri) == trained.model_digest
    assert tracking.digest_of_model(f"models:/trained/{version.model_version}") == trained.model_digest


def test_without_a_server_the_files_lie_beside_the_database_wherever_the_process_runs(folder, trained):
    assert len(list(folder.glob(f"artifacts/**/{trained.model_uri.rpartition('/')[2]}/**/model.skops"))) == 1


def test_files_that_were_changed_after_the_training_are_refused(tracking, folder):
    model = _train(tracking, "tampered")
    (file,) = folder.glob(f"**/{model.model_uri.rpartition('/')[2]}/**/model.skops")
    file.write_bytes(file.read_bytes() + b"\0")
    with (
        pytest.raises(IntegrityError, match=f"{model.model_digest[:19]}… was verified") as caught,
        tracking.downloaded(model.model_uri, model.model_digest),
    ):
        raise AssertionError("it was given out")
    assert model.model_uri in str(caught.value)


def test_a_model_that_is_not_there_is_no_outage(tracking):
    with pytest.raises(MlopsError, match=r"refused: .*m-nothing") as caught:
        tracking.digest_of_model("models:/m-nothing")
    assert type(caught.value) is MlopsError


def test_a_model_digest_changes_with_any_byte_name_and_file_but_not_with_the_registrys_note(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"1")
    digests = [model_digest(tmp_path)]
    (tmp_path / "registered_model_meta").write_text("version: 1")
    assert model_digest(tmp_path) == digests[0]
    (tmp_path / "sub" / "a").write_bytes(b"2")
    digests.append(model_digest(tmp_path))
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    digests.append(model_digest(tmp_path))
    (tmp_path / "c").write_bytes(b"")
    digests.append(model_digest(tmp_path))
    assert len(set(digests)) == 4


def test_a_model_without_a_signature_names_no_columns(tracking, tmp_path):
    mlflow.sklearn.save_model(
        Ridge().fit(FRAME, TARGET), tmp_path / "m", serialization_format="skops", pip_requirements=["scikit-learn"]
    )
    with pytest.raises(IntegrityError, match="no signature that names its input columns"):
        tracking.input_columns(tmp_path / "m")


def test_a_version_carries_what_it_can_be_traced_by(tracking, trained):
    model = dataclasses.replace(trained, model_name="versions")
    version = _register(tracking, model, **{"mlops.evidence_digest": "sha256:e"})
    assert (version.model_name, version.model_version, version.run_id) == ("versions", 1, trained.run_id)
    assert version.model_digest == trained.model_digest
    assert (version.snapshot_digest, version.evidence_digest) == ("sha256:s", "sha256:e")
    assert tracking.get_version("versions", 1) == version


def test_a_retry_finds_the_version_that_an_earlier_try_registered(tracking, trained):
    model = dataclasses.replace(trained, model_name="found")
    assert tracking.find_version("found", model.model_digest) is None
    first = _register(tracking, model)
    _register(tracking, model)
    assert tracking.find_version("found", model.model_digest) == first
    assert tracking.find_version("found", "sha256:other") is None
    assert tracking.find_version("other", model.model_digest) is None


@pytest.mark.parametrize("name", ["trained", "no such model"])
def test_a_version_that_is_not_there_is_named(tracking, trained, name):
    with pytest.raises(IntegrityError, match=f"MLflow has no version 99 of '{name}'. Was it deleted"):
        tracking.get_version(name, 99)


def test_a_version_that_nobody_vouches_for_is_refused(tracking):
    mlflow.MlflowClient(tracking.tracking_uri).create_registered_model("by hand")
    mlflow.MlflowClient(tracking.tracking_uri).create_model_version("by hand", "/data/model")
    with pytest.raises(IntegrityError, match=r"by hand v1 has no tag mlops\.model_digest"):
        tracking.get_version("by hand", 1)


def test_the_alias_points_to_nothing_until_it_is_set_and_can_be_moved(tracking, trained):
    model = dataclasses.replace(trained, model_name="aliased")
    assert tracking.get_alias("aliased") is None
    for number in (1, 2):
        _register(tracking, model)
        assert tracking.get_alias("aliased") == (None if number == 1 else 1)
        tracking.set_alias("aliased", number)
        assert tracking.get_alias("aliased") == number
    tracking.set_alias("aliased", 1)
    assert tracking.get_alias("aliased") == 1


def test_the_tracking_uri_of_the_process_stays_what_it_was(tracking, trained):
    before = mlflow.get_tracking_uri()
    tracking.find_run("trained", TAGS)
    with pytest.raises(IntegrityError):
        tracking.get_version("trained", 99)
    assert mlflow.get_tracking_uri() == before


def test_links_lead_to_the_servers_pages_and_to_nothing_without_a_server(tracking):
    server = Mlflow("http://mlflow:5000")
    assert server.run_url("1", "abc") == "http://mlflow:5000/#/experiments/1/runs/abc"
    assert server.version_url("churn", 3) == "http://mlflow:5000/#/models/churn/versions/3"
    assert (tracking.run_url("1", "abc"), tracking.version_url("churn", 3)) == ("", "")


def test_a_text_that_is_kept_with_a_run_is_read_back_and_one_that_is_not_is_named(tracking, trained):
    tracking.log_texts(trained.run_id, {"note.txt": "grüße\n"})
    assert tracking.read_text(trained.run_id, "note.txt") == "grüße\n"
    with pytest.raises(IntegrityError, match=f"The MLflow run {trained.run_id} has no file gone.txt"):
        tracking.read_text(trained.run_id, "gone.txt")


def test_threads_that_talk_to_one_server_do_not_take_it_from_each_other(tmp_path: Path):
    ours = Mlflow(f"sqlite:///{tmp_path}/ours.db")
    is_open, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with ours._session():
            is_open.set()
            may_end.wait(30)

    before = mlflow.get_tracking_uri()
    holder = threading.Thread(target=hold)
    holder.start()
    is_open.wait(30)
    with ours._session():
        may_end.set()
        holder.join()
        assert mlflow.get_tracking_uri() == ours.tracking_uri
    assert mlflow.get_tracking_uri() == before
