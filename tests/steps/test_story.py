"""The life of one model, chapter by chapter, as the demo tells it: here by the steps alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.core.monitoring.drift_report import DriftStatus
from airflow_mlops.core.validation.findings import Severity, ValidationReport, Verdict
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import DataHaltedError
from airflow_mlops.specs import PipelineSpec
from airflow_mlops.steps.pipeline import PipelineResult, run_pipeline
from airflow_mlops.steps.promotion.promote import rollback_model
from airflow_mlops.steps.registry.journal import current_champion, read_journal
from airflow_mlops.steps.registry.ledger import read_decisions
from airflow_mlops.steps.retraining.alert import repeat_reasons
from include.demo import co2_data
from tests.steps.cases import Bench, Left, co2_settings, left_by, runs_by_status
from tests.steps.conftest import make_bench


class Story:
    """Tells all chapters once; the tests read what they left."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.spec = bench, PipelineSpec.parse(co2_settings(bench.inbox))
        self.left: dict[str, Left] = {}
        self.results: dict[str, PipelineResult] = {}

    def tell(self) -> None:
        self._deliver(1958, 1984)
        self._run("cold start")
        self._deliver(1985, 1999)
        self._run("new data")
        self._run("nothing new")
        broken = [
            co2_data.deliver(co2_data.with_renamed_column(co2_data.weeks(2000, 2000)), self.bench.inbox, "2000.csv"),
            co2_data.deliver(co2_data.with_text(co2_data.weeks(2001, 2001)), self.bench.inbox, "2001.csv"),
        ]
        with pytest.raises(DataHaltedError) as halted:
            self._run("broken batch")
        self.halted = str(halted.value)
        self.left["broken batch"] = left_by(self.bench.platform, "co2")
        for file in broken:
            file.unlink()
        self._run("worse challenger", params={"alpha": 1e6})
        self.rollback = rollback_model(
            "co2", reason="v2 answers strangely", platform=self.bench.platform, run=self._named("rollback")
        )
        self.left["rollback"] = left_by(self.bench.platform, "co2")
        self._run("after the rollback")

    def _run(self, chapter: str, **options: object) -> None:
        self.results[chapter] = run_pipeline(
            self.spec, platform=self.bench.platform, run=self._named(chapter), **options
        )
        self.left[chapter] = left_by(self.bench.platform, "co2")

    def _deliver(self, first_year: int, last_year: int) -> None:
        co2_data.deliver(co2_data.weeks(first_year, last_year), self.bench.inbox, f"{first_year}.csv")

    @staticmethod
    def _named(chapter: str) -> PipelineRun:
        return PipelineRun(pipeline="co2", run_id=chapter, actor="ada")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Story:
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        told = Story(make_bench(folder, mlflow_database))
        told.tell()
    return told


def test_a_cold_start_is_declared_and_beats_the_naive_baseline(story: Story):
    result = story.results["cold start"]
    assert result.drift.status is DriftStatus.NO_REFERENCE
    assert [(each.rule, each.verdict) for each in result.decision.reasons] == [("cold_start", "RETRAIN")]
    assert result.blessing.verdict is BlessingVerdict.BLESSED
    assert ("cold_start", "BLESSED") in [(each.rule, each.verdict) for each in result.blessing.reasons]
    comparison = result.evaluation.comparisons[0]
    assert comparison.challenger < comparison.baseline
    assert comparison.against_baseline.high < 0
    assert comparison.champion is None
    assert story.left["cold start"] == Left(versions=(1,), alias=1, journal=(("promote", None, 1),))


def test_new_data_has_drifted_and_its_challenger_beats_the_champion_on_the_same_rows(story: Story):
    result = story.results["new data"]
    assert result.drift.status is DriftStatus.DRIFTED
    assert result.drift.champion_version == 1
    assert result.drift.reference_digest == story.results["cold start"].snapshot.digest
    assert result.drift.n_current < result.snapshot.n_rows
    assert repeat_reasons("drift_of_new_data", result.drift.reasons, stage="monitoring")[0] in result.decision.reasons
    assert result.evaluation.champion_version == 1
    assert result.evaluation.comparisons[0].against_champion.high < 0
    assert result.promotion.from_version == 1
    assert story.left["new data"].alias == 2


def test_drift_is_drawn_beside_its_report(story: Story):
    folder = Path(story.bench.platform.storage.path("reports", "co2", "new_data"))
    assert {"drift.html", "drift.json", "drift_evidently.html"} <= {file.name for file in folder.iterdir()}


def test_the_digests_lead_from_the_champion_back_to_its_rows(story: Story):
    result = story.results["new data"]
    assert result.split.snapshot_digest == result.snapshot.digest
    assert result.model.split_digest == result.split.digest
    assert result.evaluation.challenger_digest == result.model.model_digest
    assert result.blessing.evidence_digest == result.evaluation.content_digest
    assert result.version.model_digest == result.model.model_digest
    assert result.version.snapshot_digest == result.snapshot.digest
    assert result.promotion.evidence_digest == result.blessing.evidence_digest


def test_the_same_data_is_not_trained_on_again(story: Story):
    result = story.results["nothing new"]
    assert result.decision.should_retrain is False
    reason = result.decision.reasons[0]
    assert (reason.rule, reason.facts["run"], reason.facts["outcome"]) == ("nothing_new", "new data", "PROMOTED")
    assert result.model is None
    assert story.left["nothing new"] == story.left["new data"]


def test_a_broken_batch_halts_and_the_message_says_what_is_broken(story: Story):
    assert "co2: column_retyped: found type string, expected type double (for example 'no reading')" in story.halted
    assert "co2_ppm: column_new: found type double, expected no such column" in story.halted
    assert "Nothing was trained and the champion stays. Fix the source and run again." in story.halted
    assert "Report: reports/co2/broken_batch/validation.html" in story.halted
    assert story.left["broken batch"] == story.left["new data"]


def test_the_report_of_a_halted_batch_is_stored_with_its_findings_and_examples(story: Story):
    path = story.bench.platform.storage.path("reports", "co2", "broken_batch", "validation.json")
    report = ValidationReport.from_dict(json.loads(path.read_text()))
    assert report.verdict is Verdict.HALT
    critical = {finding.rule: finding for finding in report.findings if finding.severity is Severity.CRITICAL}
    assert {"column_new", "column_retyped", "expect_table_columns_to_match_set"} <= critical.keys()
    assert critical["column_retyped"].examples == ("no reading",)
    assert "no reading" in path.with_suffix(".html").read_text()


def test_a_rejected_challenger_leaves_champion_and_journal_as_they_were(story: Story):
    result = story.results["worse challenger"]
    assert result.blessing.verdict is BlessingVerdict.REJECTED
    first = result.blessing.reasons[0]
    assert (first.verdict, first.subject) == ("REJECTED", "mean_absolute_error")
    assert 2 in [each.facts.get("champion_version") for each in result.blessing.reasons]
    assert result.version is None
    assert story.left["worse challenger"] == story.left["new data"]


def test_a_rollback_makes_the_version_before_champion_and_the_journal_says_why(story: Story):
    assert (story.rollback.sequence, story.rollback.from_version, story.rollback.to_version) == (3, 2, 1)
    assert (story.rollback.reason, story.rollback.actor) == ("v2 answers strangely", "ada")
    assert story.left["rollback"].alias == 1
    assert story.left["rollback"].journal == (("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1))
    assert current_champion("co2", platform=story.bench.platform).model_version == 1


def test_after_a_rollback_the_same_data_does_not_bring_the_bad_model_back(story: Story):
    result = story.results["after the rollback"]
    assert result.decision.should_retrain is False
    facts = result.decision.reasons[0].facts
    assert (facts["run"], facts["outcome"], facts["unhealthy_version"]) == ("new data", "PROMOTED", 2)
    assert facts["why_unhealthy"] == "was rolled back before (entry 3: v2 answers strangely)"
    assert story.left["after the rollback"] == story.left["rollback"]


def test_every_run_that_came_so_far_left_a_decision(story: Story):
    decisions = read_decisions("co2", storage=story.bench.platform.storage)
    assert [(entry.run_id, entry.should_retrain) for entry in decisions] == [
        ("cold start", True),
        ("new data", True),
        ("nothing new", False),
        ("worse challenger", True),
        ("after the rollback", False),
    ]
    assert all(entry.reasons for entry in decisions)


def test_only_what_was_trained_is_a_run_and_each_of_them_has_ended(story: Story):
    assert runs_by_status(story.bench.platform, "co2") == {"FINISHED": 3}


def test_the_journal_is_chained(story: Story):
    journal = read_journal("co2", storage=story.bench.platform.storage)
    assert [entry.previous_digest for entry in journal] == ["", *(entry.content_digest for entry in journal[:-1])]
