"""Every document that an earlier version has stored is decoded by its kind, and says what it said."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import airflow_mlops.core
import airflow_mlops.steps
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from tests.stored.cases import NAME
from tests.stored.conftest import Stored
from tests.stored.unpacked import digest_of

KINDS = {
    "Approval",
    "BacktestReport",
    "Blessing",
    "ChampionChange",
    "DatasetProfile",
    "DatasetSnapshot",
    "DatasetSplit",
    "Deployment",
    "DriftReport",
    "EvaluationReport",
    "ExportReport",
    "GateDecision",
    "LeakageReport",
    "ModelVersion",
    "MonitoringDecision",
    "PerformanceReport",
    "PredictionBatch",
    "PromotionRecord",
    "ResolvedWindow",
    "RetrainDecision",
    "RolloutReport",
    "ServingReport",
    "TrainedModel",
    "TrainingRecord",
    "TuningResult",
    "ValidationReport",
    "_Note",
}
WITHOUT_KIND = {"quarantine.json", "trips_data.json", "verdict.json"}


@pytest.fixture(scope="module")
def known() -> dict[str, type[Value]]:
    """The kinds of values that there are now, wherever their modules lie."""
    for package in (airflow_mlops.core, airflow_mlops.steps):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return {name: kind for kind in _below(Value) for name in (kind.__name__, kind.formerly) if name}


def _below(kind: type[Value]) -> Iterator[type[Value]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def test_every_document_is_decoded_by_its_kind_and_written_as_it_is_read(stored: Stored, known: dict[str, type[Value]]):
    files = [
        *stored.root.glob("**/*.json"),
        *stored.folder.glob("backtest/**/*.json"),
        *stored.folder.glob("values/*.json"),
        *stored.folder.glob("artifacts/*/artifacts/training_record.json"),
    ]
    found = []
    for file in files:
        document = json.loads(file.read_text())
        if "kind" not in document:
            assert file.name in WITHOUT_KIND or file.is_relative_to(stored.root / "uses")
            continue
        value = known[document["kind"]].from_dict(document)
        assert type(value).from_dict(value.to_dict()) == value
        assert value.content_digest == digest_of(document), "what refers to it by its digest still finds it"
        found.append(document["kind"])
    assert set(found) == KINDS
    assert len(found) == 110


class Reports:
    """The reports of one run."""

    def __init__(self, stored: Stored, known: dict[str, type[Value]]) -> None:
        self._stored, self._known = stored, known

    def __call__(self, run_id: str, name: str, pipeline: str = NAME) -> Any:
        return self.at("reports", pipeline, run_id, f"{name}.json")

    def at(self, *parts: str) -> Any:
        return self.decode(self._stored.document(*parts))

    def decode(self, document: dict[str, Any]) -> Any:
        return self._known[document["kind"]].from_dict(document)


@pytest.fixture
def reports(stored: Stored, known: dict[str, type[Value]]) -> Reports:
    return Reports(stored, known)


def test_a_halted_batch_keeps_its_findings(reports: Reports):
    report = reports("broken_batch", "validation")
    assert (report.verdict, report.n_rows, report.accepted) == ("HALT", 200, None)
    assert [(each.rule, each.column, each.action) for each in report.findings] == [
        ("column_retyped", "x", "HALT"),
        ("expect_column_values_to_not_be_null", "y", "HALT"),
    ]
    assert report.findings[0].examples == ("far",)
    assert [(each.outcome, each.n_unexpected) for each in report.checks] == [("BROKEN", 1), ("UNCHECKED", None)]


def test_a_batch_with_a_bad_row_keeps_what_was_set_aside(reports: Reports, stored: Stored):
    import pandas as pd

    report = reports("new_data", "validation")
    assert (report.verdict, report.n_rows, report.accepted.n_rows) == ("QUARANTINE", 180, 179)
    assert report.quarantine.n_rows == 1
    assert report.quarantine.uri.startswith(str(stored.root))
    (row,) = pd.read_parquet(report.quarantine.uri).to_dict("records")
    assert row["x"] == 99.0


def test_a_drift_report_keeps_its_numbers(reports: Reports):
    report = reports("look_1", "drift", f"{NAME}_monitoring")
    assert (report.status, report.champion_version, report.n_reference, report.n_current) == ("DRIFTED", 1, 79, 60)
    assert {each.name: (each.kind, round(each.statistics["psi"], 3)) for each in report.columns} == {
        "x": ("feature", 8.450),
        "mlops_prediction": ("prediction", 8.228),
        "rain_mm": ("feature", 5.151),
    }
    assert [reports(run_id, "drift").status for run_id in ("cold_start", "nothing_new")] == [
        "NO_REFERENCE",
        "TOO_FEW_ROWS",
    ]


def test_a_performance_report_keeps_its_numbers(reports: Reports):
    report = reports("look_1", "performance", f"{NAME}_monitoring")
    assert (report.status, report.model_version, report.n_reference) == ("DEGRADED", 1, 21)
    (window,) = report.windows
    (metric,) = window.metrics
    assert (window.counts.n_predictions, window.counts.n_labelled) == (60, 60)
    assert metric.value.difference == 5.00625
    assert (round(metric.value.low, 4), round(metric.value.high, 4)) == (4.9298, 5.0811)
    assert round(metric.at_blessing, 4) == 0.7737
    assert reports("look_2", "performance", f"{NAME}_monitoring").status == "NOT_ENOUGH_LABELS"


def test_an_evaluation_keeps_its_numbers_and_its_slices(reports: Reports, stored: Stored):
    report = reports("new_data", "evaluation")
    error, r2 = report.comparisons
    assert (error.metric, r2.metric, report.champion_version, report.n_rows) == ("mean_absolute_error", "r2", 1, 36)
    assert (round(error.challenger, 4), round(error.champion, 4), round(error.baseline, 4)) == (0.2186, 2.3078, 3.9189)
    assert (round(error.against_champion.low, 3), round(error.against_champion.high, 3)) == (-2.287, -1.888)
    assert {each.name: each.n_rows for each in report.slices}.keys() >= {"part=north", "part=south"}
    assert {each.feature for each in report.importance} == {"x", "rain_mm"}
    judged = reports("new_data", "blessing").evidence_digest
    evidence = stored.document("evidence", NAME, f"{judged.removeprefix('sha256:')[:16]}.json")
    assert digest_of(evidence) == judged
    assert reports.at("evidence", NAME, f"{judged.removeprefix('sha256:')[:16]}.json") == report


def test_the_gate_the_serving_check_the_export_the_search_and_the_rollout_keep_what_they_found(reports: Reports):
    assert [reports(run_id, "blessing").verdict for run_id in ("cold_start", "new_data", "worse", "answer")] == [
        "BLESSED",
        "BLESSED",
        "REJECTED",
        "BLESSED",
    ]
    serving, export = reports("cold_start", "serving"), reports("cold_start", "export")
    assert (serving.n_golden_rows, len(serving.checks)) == (5, 15)
    assert {check.passed for check in serving.checks} == {True}
    assert (export.format, export.status, export.parity.n_rows) == ("onnx", "KEPT", 21)
    tuning, rollout = reports("new_data", "tuning"), reports("new_data", "rollout")
    assert (tuning.best_params, tuning.n_finished, round(tuning.best_score, 4)) == ({"alpha": 0.1}, 2, -0.2332)
    assert (rollout.verdict, rollout.mode, rollout.share) == ("HEALTHY", "canary", 0.5)
    assert (rollout.challenger.model_version, rollout.challenger.n_requests, rollout.challenger.n_failed) == (2, 120, 0)
    leakage = reports("new_data", "leakage")
    assert (leakage.n_checks, leakage.n_train, leakage.n_test, leakage.findings) == (4, 143, 36, ())


def test_answers_of_people_alerts_and_decisions_keep_what_they_were_about(reports: Reports, stored: Stored):
    def entry(number: int) -> Any:
        return reports.at("decisions", NAME, f"{number:06d}.json")

    approved, declined = entry(5), entry(12)
    assert (approved.is_approved, approved.by, approved.note, approved.model_version) == (
        True,
        "grace",
        "Looks right.",
        2,
    )
    assert (declined.is_approved, declined.note, declined.model_version) == (False, "Not before the holidays.", 3)
    assert approved.blessing_digest == digest_of(stored.document("reports", NAME, "new_data", "blessing.json"))
    first, second = entry(9), entry(13)
    assert (first.kinds, second.kinds) == (("drift", "performance"), ("drift",))
    assert first.report_uri == f"reports/{NAME}_monitoring/look_1/drift.html"
    decision = entry(10)
    assert decision.answered_alerts == (digest_of(stored.ledger()[8]),)
    assert (decision.should_retrain, decision.trigger, len(decision.reasons)) == (True, "manual", 19)


def test_snapshots_splits_and_the_training_record_keep_what_was_trained_on(reports: Reports, stored: Stored):
    profile = reports.at("snapshots", NAME, "2aadb40a0387411d", "profile.json")
    snapshot = reports.at("snapshots", NAME, "2aadb40a0387411d", "manifest.json")
    assert (snapshot.n_rows, profile.n_rows, profile.snapshot_digest) == (100, 100, snapshot.digest)
    assert f"{snapshot.window_start:%Y-%m-%d} {snapshot.window_end:%Y-%m-%d}" == "2020-01-01 2020-04-09"
    assert [(column.name, column.type) for column in snapshot.columns] == [
        ("id", "string"),
        ("day", "date32[day]"),
        ("x", "double"),
        ("part", "string"),
        ("y", "double"),
    ]
    split = reports.at("splits", NAME, "85a211c8139bbf1e", "split.json")
    assert (split.method, split.cut, split.train.n_rows, split.test.n_rows) == ("time", "2020-03-20", 79, 21)
    assert [table.name for table in split.recipe.feature_tables] == ["rain"]
    assert (split.recipe.split.test_fraction, split.recipe.split.key) == (0.2, ("id",))
    record = reports.decode(stored.record("cold start"))
    assert record.split == split
    assert (record.training.target, record.training.params) == ("y", {"alpha": 50.0})
    assert (record.run.run_id, record.n_threads, sentences_of(record.reasons)) == (
        "cold start",
        1,
        ("Cold start: there is no champion yet.",),
    )


def test_what_airflow_and_a_backtest_have_stored_is_read(stored: Stored, reports: Reports):
    def read(path: str) -> Any:
        return reports.decode(json.loads((stored.folder / path).read_text()))

    change, version = read("values/ChampionChange.json"), read("values/ModelVersion.json")
    assert (change.action, change.from_version, change.model_version, change.sequence) == ("promote", 1, 2, 2)
    assert round(change.metrics["r2"], 4) == 0.9657
    assert (version.model_version, version.report_uri) == (3, f"reports/{NAME}/answer/model_card.html")
    backtest = read("backtest/backtest.json")
    assert [(each.track, each.n_trained) for each in backtest.summaries] == [
        ("policy", 1),
        ("never", 1),
        ("always", 1),
    ]
    assert backtest.conclusion.startswith("The policy is as good as always (0.3295 against 0.3295, by month)")
    assert [round(point.error, 4) for point in backtest.points if point.error is not None] == [0.2992] * 3
