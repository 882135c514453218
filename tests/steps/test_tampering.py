"""Bytes, aliases and records that somebody changed behind the pipeline's back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlparse

import mlflow
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.errors import IntegrityError, NotBlessedError, PromotionConflictError
from airflow_mlops.steps.evaluation.evaluate import evaluate_model
from airflow_mlops.steps.gate.bless import bless_model
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model, register_model, rollback_model
from airflow_mlops.steps.registry.journal import current_champion, read_journal
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from airflow_mlops.steps.validation.validate import validate_dataset
from tests.steps.cases import NOTHING_LEFT, Bench, left_by, run_named


def _model_folder(bench: Bench, model_uri: str) -> Path:
    """Return where MLflow keeps a logged model's files."""
    client = MlflowClient(bench.platform.mlflow.tracking_uri)
    location = client.get_logged_model(model_uri.rpartition("/")[2]).artifact_location
    return Path(urlparse(location).path)


def _folder_of_version(bench: Bench, version: int) -> Path:
    client = MlflowClient(bench.platform.mlflow.tracking_uri)
    return _model_folder(bench, client.get_model_version("small", str(version)).source)


def _tamper(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))


def _alias(bench: Bench, version: int) -> None:
    MlflowClient(bench.platform.mlflow.tracking_uri).set_registered_model_alias("small", "champion", str(version))


def test_a_snapshot_whose_rows_were_changed_is_not_validated(delivered: Bench, held: PipelineResult):
    path = held.snapshot.data_uri
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "y", table.column("x")), path)
    spec = delivered.spec()
    with pytest.raises(IntegrityError) as caught:
        validate_dataset(held.snapshot, spec.validation, platform=delivered.platform, run=run_named("second"))
    message = str(caught.value)
    assert message.startswith(f"{path}: the file has digest sha256:")
    assert f"{held.snapshot.file_digest[:19]}… was verified" in message
    assert "nothing uses it. Remove it and run the pipeline again." in message


def test_a_snapshot_file_that_is_damaged_or_gone_is_not_validated(delivered: Bench, held: PipelineResult):
    spec, path = delivered.spec(), Path(held.snapshot.data_uri)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=r"the file has digest .* was verified"):
        validate_dataset(held.snapshot, spec.validation, platform=delivered.platform, run=run_named("second"))
    path.unlink()
    with pytest.raises(IntegrityError, match=r"can't be read: .* Run the pipeline again to make it anew"):
        validate_dataset(held.snapshot, spec.validation, platform=delivered.platform, run=run_named("second"))


def test_a_training_part_that_was_changed_trains_nothing(delivered: Bench, held: PipelineResult):
    _tamper(Path(held.split.train.uri))
    run = run_named("second")
    with pytest.raises(IntegrityError):
        train_model(held.split, delivered.spec().training, model_name="small", platform=delivered.platform, run=run)
    assert left_by(delivered.platform).versions == (1,)


def test_a_model_from_another_split_is_not_evaluated(delivered: Bench, held: PipelineResult):
    spec = delivered.spec(split={"test_fraction": 0.4})
    other = split_dataset(held.snapshot, spec.data, spec.split, storage=delivered.platform.storage)
    with pytest.raises(IntegrityError, match=r"held-out rows of one may be training rows of the other. Nothing was"):
        evaluate_model(held.model, other, spec.gate, platform=delivered.platform, run=run_named("second"))


def test_a_model_file_that_was_changed_after_the_evaluation_is_not_promoted(delivered: Bench, held: PipelineResult):
    _tamper(_model_folder(delivered, held.model.model_uri) / "model.skops")
    with pytest.raises(IntegrityError) as caught:
        promote_model(held.version, held.blessing, platform=delivered.platform, run=run_named("first"))
    message = str(caught.value)
    assert message.startswith("models:/small/1: the stored files have digest sha256:")
    assert "They were changed after the training; nothing uses them. Train a new version." in message
    left = left_by(delivered.platform)
    assert (left.alias, left.journal) == (None, ())


def test_a_version_whose_model_file_was_changed_is_not_rolled_back_to(two_versions: Bench):
    before = left_by(two_versions.platform)
    _tamper(_folder_of_version(two_versions, 1) / "model.skops")
    with pytest.raises(IntegrityError, match="models:/small/1: the stored files have digest"):
        rollback_model("small", reason="strange", platform=two_versions.platform, run=run_named("back"))
    assert left_by(two_versions.platform) == before


def test_a_champion_that_can_not_be_loaded_any_more_makes_the_gate_inconclusive(serving: Bench):
    before = left_by(serving.platform)
    shutil.rmtree(_folder_of_version(serving, 1))
    result = serving.run("second")
    assert result.evaluation.champion_version == 1
    assert result.evaluation.champion_error
    assert result.blessing.verdict is BlessingVerdict.INCONCLUSIVE
    reason = result.blessing.reasons[0]
    assert (reason.rule, reason.verdict, reason.facts["champion_version"]) == ("champion_scored", "INCONCLUSIVE", 1)
    assert reason.facts["error"] == result.evaluation.champion_error
    assert left_by(serving.platform) == before


def test_a_champion_whose_file_was_changed_makes_the_gate_inconclusive(serving: Bench):
    _tamper(_folder_of_version(serving, 1) / "model.skops")
    result = serving.run("second")
    assert "They were changed after the training" in result.evaluation.champion_error
    assert result.blessing.verdict is BlessingVerdict.INCONCLUSIVE
    assert left_by(serving.platform).versions == (1,)


def test_an_alias_that_was_moved_by_hand_is_noticed_and_not_overwritten(two_versions: Bench):
    lenient = {"metrics": {"mean_absolute_error": {"change_threshold": 0.5}}}
    third = two_versions.spec(training={"params": {"alpha": 0.2}}, promotion={"policy": "hold"}, gate=lenient)
    two_versions.run("third", third)
    before = left_by(two_versions.platform)
    assert before.versions == (1, 2, 3)
    _alias(two_versions, 3)
    for step in (
        lambda: current_champion("small", platform=two_versions.platform),
        lambda: two_versions.run("fourth"),
        lambda: rollback_model("small", reason="strange", platform=two_versions.platform, run=run_named("back")),
    ):
        with pytest.raises(IntegrityError) as caught:
            step()
        message = str(caught.value)
        assert "small: the alias 'champion' points to version 3, but the journal says that version 2 serves" in message
        assert "It was moved outside this pipeline; nothing was changed." in message
        assert "Point the alias back to version 2; to go back to another version, run the rollback." in message
    after = left_by(two_versions.platform)
    assert (after.alias, after.versions, after.journal) == (3, before.versions, before.journal)


def test_a_champion_that_changed_after_the_evaluation_refuses_the_promotion(serving: Bench):
    platform, spec = serving.platform, serving.spec(promotion={"policy": "hold"})
    slow = serving.run("slow", spec)
    assert slow.evaluation.champion_version == 1
    assert serving.run("quick", params={"alpha": 0.2}).promotion.to_version == 3
    before = left_by(platform)
    with pytest.raises(PromotionConflictError) as caught:
        promote_model(slow.version, slow.blessing, platform=platform, run=run_named("slow"))
    message = str(caught.value)
    assert message.startswith("small v2 not promoted: it was evaluated against version 1, but version 3 is champion")
    assert "Nothing was changed. Run the pipeline again to compare with the present champion." in message
    assert left_by(platform) == before


def test_a_blessing_of_another_model_registers_and_promotes_nothing(serving: Bench):
    held = serving.run("second", serving.spec(promotion={"policy": "hold"}))
    other = train_model(
        held.split,
        serving.spec(training={"params": {"alpha": 0.2}}).training,
        model_name="small",
        platform=serving.platform,
        run=run_named("third"),
    )
    before = left_by(serving.platform)
    with pytest.raises(IntegrityError, match=r"The blessing is not of models:/m-.*. Nothing was registered"):
        register_model(other, held.blessing, platform=serving.platform)
    with pytest.raises(IntegrityError, match="Nothing was blessed"):
        bless_model(held.evaluation, serving.spec().gate, other, platform=serving.platform, run=run_named("third"))
    first = current_champion("small", platform=serving.platform)
    with pytest.raises(NotBlessedError, match="small v1 is not what was blessed"):
        promote_model(first, held.blessing, platform=serving.platform, run=run_named("third"))
    assert left_by(serving.platform) == before


def test_a_rejected_blessing_registers_nothing(delivered: Bench):
    gate = {"metrics": {"mean_absolute_error": {"value_threshold": 0.001}}}
    rejected = delivered.run("first", delivered.spec(gate=gate))
    with pytest.raises(NotBlessedError, match="Nothing was registered and the champion stays"):
        register_model(rejected.model, rejected.blessing, platform=delivered.platform)
    assert left_by(delivered.platform) == NOTHING_LEFT


def test_a_journal_entry_that_was_changed_stops_everything_that_reads_it(two_versions: Bench):
    storage = two_versions.platform.storage
    file = storage.path("journals", "small", "000001.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reason": "it was always good"}))
    with pytest.raises(IntegrityError) as caught:
        read_journal("small", storage=storage)
    assert "small: entry 1 of the journal was changed after it was written. Nothing was promoted." in str(caught.value)
    with pytest.raises(IntegrityError):
        two_versions.run("third")


def test_a_journal_entry_that_is_gone_stops_everything_that_reads_it(two_versions: Bench):
    storage = two_versions.platform.storage
    storage.path("journals", "small", "000001.json").unlink()
    with pytest.raises(IntegrityError, match=r"entry 1 is missing, the next one is 000002.json. Restore it"):
        read_journal("small", storage=storage)


def test_a_version_that_somebody_else_registered_is_not_taken_for_a_champion(delivered: Bench, held: PipelineResult):
    mlflow.set_tracking_uri(delivered.platform.mlflow.tracking_uri)
    MlflowClient().create_model_version("small", source=held.model.model_uri, run_id=held.model.run_id)
    _alias(delivered, 2)
    with pytest.raises(IntegrityError, match="points to version 2, but the storage has no journal that says so"):
        current_champion("small", platform=delivered.platform)
    with pytest.raises(IntegrityError) as caught:
        delivered.platform.mlflow.get_version("small", 2)
    assert "small v2 has no tag mlops.model_digest, so nothing verifies its files." in str(caught.value)
    assert "Register models with RegisterModelOperator." in str(caught.value)
