from __future__ import annotations

from typing import Any

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.evaluation.evaluate import evaluate_model
from airflow_mlops.steps.gate.bless import bless_model
from airflow_mlops.steps.monitoring.drift import check_drift
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promotion.promote import promote_model, register_model, rollback_model
from airflow_mlops.steps.registry.ledger import read_decisions
from airflow_mlops.steps.retraining.decide import decide_retrain
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from airflow_mlops.steps.validation.validate import validate_dataset
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, left_by, run_first, run_named, runs_by_status, small_frame


@pytest.fixture
def first(delivered: Bench, stage: Stage) -> PipelineResult:
    return stage.after(delivered, deliver, run_first)


def _snapshots(bench: Bench) -> list[str]:
    return bench.platform.storage.names("snapshots", "small")


def test_unchanged_data_makes_no_second_snapshot(delivered: Bench):
    spec, storage = delivered.spec(), delivered.platform.storage
    first = snapshot_dataset(spec.data, dataset="small", storage=storage, actor="ada")
    written = storage.path("snapshots", "small", _snapshots(delivered)[0], "data.parquet").stat()
    second = snapshot_dataset(spec.data, dataset="small", storage=storage, actor="grace")
    assert second == first
    assert second.created_by == "ada"
    assert len(_snapshots(delivered)) == 1
    assert storage.path(first.data_uri).stat().st_mtime_ns == written.st_mtime_ns
    assert storage.path(first.data_uri).stat().st_ino == written.st_ino


def test_a_snapshot_knows_its_rows_however_they_are_parted_into_files(delivered: Bench):
    spec, storage, rows = delivered.spec(), delivered.platform.storage, small_frame()
    whole = snapshot_dataset(spec.data, dataset="small", storage=storage)
    delivered.deliver(rows[:100], "part-1.csv")
    delivered.deliver(rows[100:], "part-2.csv")
    parted = snapshot_dataset(spec.data, dataset="small", storage=storage)
    assert parted.digest == whole.digest
    assert len(_snapshots(delivered)) == 1


def test_changed_data_is_another_snapshot_beside_the_first(delivered: Bench):
    spec, storage = delivered.spec(), delivered.platform.storage
    first = snapshot_dataset(spec.data, dataset="small", storage=storage)
    delivered.deliver(small_frame(20, start="2021-01-01"), "part-2.csv")
    second = snapshot_dataset(spec.data, dataset="small", storage=storage)
    assert (first.n_rows, second.n_rows) == (300, 320)
    assert len(_snapshots(delivered)) == 2


@pytest.mark.parametrize("method", ["time", "random"])
def test_the_same_split_twice_is_one_split(delivered: Bench, method: str):
    spec, storage = delivered.spec(split={"method": method, "seed": 3}), delivered.platform.storage
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=storage)
    first = split_dataset(snapshot, spec.data, spec.split, storage=storage)
    assert split_dataset(snapshot, spec.data, spec.split, storage=storage) == first
    assert len(storage.names("splits", "small")) == 1
    assert first.train.n_rows + first.test.n_rows == 300


def test_a_whole_run_that_is_repeated_finds_what_it_made_and_makes_nothing_twice(
    delivered: Bench, first: PipelineResult
):
    again = delivered.run("first")
    for step in ("snapshot", "split", "decision", "model", "version", "promotion"):
        assert getattr(again, step) == getattr(first, step), step
    assert runs_by_status(delivered.platform) == {"FINISHED": 1}
    assert left_by(delivered.platform).journal == (("promote", None, 1),)
    assert len(read_decisions("small", storage=delivered.platform.storage)) == 1


def test_each_step_that_is_repeated_in_its_run_finds_what_the_first_try_finished(
    delivered: Bench, first: PipelineResult
):
    spec, platform, run = delivered.spec(), delivered.platform, run_named("first")
    before = left_by(platform)
    assert validate_dataset(first.snapshot, spec.validation, model_name="small", platform=platform, run=run)
    decision = decide_retrain(first.split, spec.training, model_name="small", platform=platform, run=run)
    assert decision == first.decision
    model = train_model(first.split, spec.training, model_name="small", platform=platform, run=run)
    assert model == first.model
    assert register_model(model, first.blessing, platform=platform) == first.version
    assert promote_model(first.version, first.blessing, platform=platform, run=run) == first.promotion
    assert runs_by_status(platform) == {"FINISHED": 1}
    assert left_by(platform) == before


def test_an_evaluation_that_is_repeated_before_the_promotion_gives_the_same_evidence(delivered: Bench):
    spec, platform, run = delivered.spec(), delivered.platform, run_named("r")
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=platform.storage)
    split = split_dataset(snapshot, spec.data, spec.split, storage=platform.storage)
    model = train_model(split, spec.training, model_name="small", platform=platform, run=run)
    reports = [evaluate_model(model, split, spec.gate, platform=platform, run=run) for _ in range(2)]
    assert reports[0] == reports[1]
    blessings = [bless_model(report, spec.gate, model, platform=platform, run=run) for report in reports]
    assert blessings[0] == blessings[1]
    assert left_by(platform).versions == ()


def test_a_drift_check_that_is_repeated_gives_the_same_report(serving: Bench):
    serving.deliver(small_frame(100, start="2021-01-01", seed=1), "part-2.csv")
    spec, platform, run = serving.spec(), serving.platform, run_named("second")
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=platform.storage)
    reports = [check_drift(snapshot, spec.monitoring, model_name="small", platform=platform, run=run) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].n_current == 100


def test_the_same_training_in_another_run_is_a_run_of_its_own(delivered: Bench, first: PipelineResult):
    spec, platform = delivered.spec(), delivered.platform
    again = train_model(first.split, spec.training, model_name="small", platform=platform, run=run_named("second"))
    assert again.run_id != first.model.run_id
    assert again.fingerprint == first.model.fingerprint
    assert runs_by_status(platform) == {"FINISHED": 2}


def test_a_version_that_is_held_stays_a_version_and_does_not_train_again(delivered: Bench):
    spec = delivered.spec(promotion={"policy": "hold"})
    held = delivered.run("first", spec)
    assert held.version.model_version == 1
    assert held.promotion is None
    left = left_by(delivered.platform)
    assert (left.versions, left.alias, left.journal) == ((1,), None, ())
    assert delivered.run("second", spec).decision.should_retrain is False


def test_a_rollback_that_is_repeated_is_one_rollback(two_versions: Bench):
    platform = two_versions.platform
    run = run_named("back")
    first = rollback_model("small", reason="strange answers", platform=platform, run=run)
    second = rollback_model("small", reason="strange answers", platform=platform, run=run)
    assert first == second
    assert first.reason == "strange answers"
    assert left_by(platform).journal == (("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1))
    assert left_by(platform).alias == 1


def test_a_rollback_without_a_reason_changes_nothing(serving: Bench):
    before = left_by(serving.platform)
    with pytest.raises(SpecError, match=r"small not rolled back: give a reason, the journal keeps it. Nothing was"):
        rollback_model("small", reason="  ", platform=serving.platform, run=run_named("back"))
    assert left_by(serving.platform) == before


def test_a_finished_run_that_is_repeated_keeps_the_evidence_of_its_promotion(delivered: Bench, first: PipelineResult):
    run, spec = run_named("first"), delivered.spec()
    assert first.model is not None
    assert first.promotion is not None
    again = evaluate_model(first.model, first.split, spec.gate, platform=delivered.platform, run=run)
    assert again == first.evaluation
    blessing = bless_model(again, spec.gate, first.model, platform=delivered.platform, run=run)
    assert blessing.evidence_digest == first.promotion.evidence_digest
    path = delivered.platform.report_path(run, "evaluation.json")
    assert delivered.platform.storage.read_json(*path)["champion_version"] is None


def test_an_evaluation_by_another_gate_is_not_taken_from_an_earlier_try(delivered: Bench, first: PipelineResult):
    assert first.model is not None
    gate = delivered.spec(gate={"metrics": {"root_mean_squared_error": {}}, "cold_start": True}).gate
    again = evaluate_model(first.model, first.split, gate, platform=delivered.platform, run=run_named("first"))
    assert [comparison.metric for comparison in again.comparisons] == ["root_mean_squared_error"]


@pytest.mark.parametrize(
    "other",
    [
        {"baseline": "median"},
        {"slices": {"columns": "x", "min_rows": 10}},
        {"block_length": 4},
        {"confidence_level": 0.9},
        {"fairness": {"attributes": "x"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_retry_whose_gate_asks_something_else_is_evaluated_again(
    delivered: Bench, first: PipelineResult, other: dict[str, Any]
):
    assert first.model is not None
    assert first.evaluation is not None
    gate = delivered.spec(gate=other).gate
    again = evaluate_model(first.model, first.split, gate, platform=delivered.platform, run=run_named("first"))
    assert again.question_digest != first.evaluation.question_digest
    assert again != first.evaluation


def test_a_retry_whose_gate_only_wants_other_answers_finds_the_evaluation(delivered: Bench, first: PipelineResult):
    assert first.model is not None
    changed = {"metrics": {"mean_absolute_error": {"value_threshold": 9.0}}, "min_rows": 10, "on_rejection": "fail"}
    gate = delivered.spec(gate=changed).gate
    again = evaluate_model(first.model, first.split, gate, platform=delivered.platform, run=run_named("first"))
    assert again == first.evaluation
