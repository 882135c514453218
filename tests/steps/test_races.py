"""Two who promote or roll back at the same time, and a registry or a storage that somebody else touched."""

from __future__ import annotations

import shutil

import pytest
from mlflow import MlflowClient

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.errors import IntegrityError, PromotionConflictError
from airflow_mlops.steps.promotion.promote import rollback_model
from airflow_mlops.steps.registry.journal import current_champion, read_journal
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, left_by, run_named, small_frame

LENIENT = {"metrics": {"mean_absolute_error": {"change_threshold": 0.5}}, "cold_start": True}


def _promote_two(bench: Bench) -> None:
    bench.run("first", bench.spec(gate=LENIENT))
    bench.deliver(small_frame(200, start="2021-01-01", seed=1), "part-2.csv")
    bench.run("second", bench.spec(gate=LENIENT))
    assert left_by(bench.platform).alias == 2


@pytest.fixture
def two_versions(bench: Bench, stage: Stage) -> Bench:
    stage.after(bench, deliver, _promote_two)
    return bench


def test_going_back_by_hand_in_the_registry_is_noticed_and_not_undone(two_versions: Bench):
    MlflowClient(two_versions.platform.mlflow.tracking_uri).set_registered_model_alias("small", "champion", "1")
    with pytest.raises(IntegrityError, match="points to version 1, but the journal says that version 2 serves"):
        current_champion("small", platform=two_versions.platform)
    assert two_versions.platform.mlflow.get_alias("small") == 1


def test_a_promoter_that_stalls_before_the_alias_does_not_bring_back_what_was_rolled_back(
    two_versions: Bench, monkeypatch: pytest.MonkeyPatch
):
    """While one sets the alias, another one rolls back; the alias ends where the last entry says."""
    platform = two_versions.platform
    real, came_between = Mlflow.set_alias, []

    def stall(self: Mlflow, model_name: str, model_version: int) -> None:
        if not came_between:
            came_between.append(True)
            rollback_model(model_name, reason="meanwhile", platform=platform, run=run_named("other"))
        real(self, model_name, model_version)

    two_versions.deliver(small_frame(200, start="2022-01-01", seed=2), "part-3.csv")
    monkeypatch.setattr(Mlflow, "set_alias", stall)
    two_versions.run("third", two_versions.spec(gate=LENIENT))
    entries = read_journal("small", storage=platform.storage)
    assert [(e.action, e.to_version) for e in entries[2:]] == [("promote", 3), ("rollback", 2)]
    assert platform.mlflow.get_alias("small") == 2
    champion = current_champion("small", platform=platform)
    assert champion is not None
    assert champion.model_version == 2


def test_a_storage_that_is_gone_is_not_taken_for_a_cold_start(two_versions: Bench):
    shutil.rmtree(two_versions.platform.storage.root)
    with pytest.raises(IntegrityError, match="points to version 2, but the storage has no journal") as caught:
        two_versions.run("third", two_versions.spec(gate=LENIENT))
    assert "storage_root" in str(caught.value)
    assert read_journal("small", storage=two_versions.platform.storage) == []
    assert two_versions.platform.mlflow.get_alias("small") == 2


def test_a_rollback_of_a_version_that_is_champion_no_more_changes_nothing(two_versions: Bench):
    before = left_by(two_versions.platform)
    with pytest.raises(PromotionConflictError, match="version 1 was to go, but version 2 is champion"):
        rollback_model("small", reason="strange", from_version=1, platform=two_versions.platform, run=run_named("late"))
    assert left_by(two_versions.platform) == before


def test_the_same_rollback_asked_for_twice_goes_back_once(two_versions: Bench):
    platform = two_versions.platform
    rollback_model("small", reason="strange", from_version=2, platform=platform, run=run_named("one"))
    with pytest.raises(PromotionConflictError, match="version 2 was to go, but version 1 is champion"):
        rollback_model("small", reason="strange", from_version=2, platform=platform, run=run_named("two"))


def test_the_evidence_of_a_promotion_is_kept_under_its_digest(two_versions: Bench):
    storage = two_versions.platform.storage
    for entry in read_journal("small", storage=storage):
        name = f"{entry.evidence_digest.removeprefix('sha256:')[:16]}.json"
        assert storage.read_json("evidence", "small", name)["kind"] == "EvaluationReport"


def test_what_one_gate_rejected_is_tried_again_by_another(delivered: Bench):
    strict = {"metrics": {"mean_absolute_error": {"value_threshold": 0.0001}}, "cold_start": True}
    rejected = delivered.run("strict", delivered.spec(gate=strict))
    assert rejected.blessing is not None
    assert not rejected.blessing.is_blessed
    assert not delivered.run("again", delivered.spec(gate=strict)).decision.should_retrain
    assert delivered.run("relaxed", delivered.spec(gate=LENIENT)).promotion is not None
