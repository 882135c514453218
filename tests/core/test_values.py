from __future__ import annotations

import dataclasses
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core import step_request
from airflow_mlops.core.backtesting import backtest
from airflow_mlops.core.data import profile, snapshot
from airflow_mlops.core.evaluation import report as evaluate
from airflow_mlops.core.gate import rules
from airflow_mlops.core.maintenance import reproduction, verification
from airflow_mlops.core.monitoring import drift_report, performance_report
from airflow_mlops.core.packaging import conversion, serving_check
from airflow_mlops.core.promotion import approval
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry import descriptions, journal, training_record
from airflow_mlops.core.retraining import alert, decision
from airflow_mlops.core.rollout import deployment, online_validation
from airflow_mlops.core.scoring import batch
from airflow_mlops.core.splitting import leakage, split
from airflow_mlops.core.training import model, tuning
from airflow_mlops.core.validation import findings
from airflow_mlops.core.values import PipelineRun, Value, digest_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.specs import DatasetSpec, FeatureTable, SplitSpec, TrainingSpec
from tests.core.cases import recorded

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
COLUMNS = (snapshot.Column(name="a", type="int64", n_null=2), snapshot.Column(name="at", type="timestamp[us]"))
REASON = Reason(
    stage="gate",
    rule="change_threshold",
    verdict="REJECTED",
    subject="accuracy",
    setting="gate.metrics.accuracy.change_threshold",
    observed=float("-inf"),
    required=0.1 + 0.2,
    interval=evaluate.Interval(difference=float("-inf"), low=float("-inf"), high=1.5),
    n=100,
    facts={
        "challenger": float("-inf"),
        "champion": float("inf"),
        "champion_version": 3,
        "threshold": 0.1 + 0.2,
        "confidence_level": 0.95,
        "slices": [{"name": "NaN", "n_rows": 3, "low": float("-inf")}],
    },
    because=recorded("worse"),
    source="performance",
)
PARITY = conversion.Parity(n_rows=3, n_label_mismatches=1, n_beyond=0, max_difference=0.5)
PART = split.DatasetPart(uri="/x.parquet", digest="sha256:1", n_rows=3)
INTERVAL = evaluate.Interval(difference=0.1 + 0.2, low=-1e-300, high=1.5)
COMPARISON = evaluate.MetricComparison(
    metric="accuracy",
    direction="higher_is_better",
    challenger=0.9,
    baseline=0.5,
    champion=0.8,
    against_baseline=INTERVAL,
    against_champion=INTERVAL,
)

MOVED = Reason(
    stage="monitoring",
    rule="column",
    verdict="DRIFTED",
    subject="a",
    observed=float("inf"),
    required=0.1,
    n=3,
    facts={"kind": "feature", "shares": [["NaN", 0.1]]},
    because=(Reason(stage="monitoring", rule="psi", observed=0.3, required=0.1),),
)
WORSE = Reason(stage="monitoring", rule="change", verdict="DEGRADED", observed=-0.1, interval=INTERVAL)
RETYPED = Reason(stage="validation", rule="column_retyped", subject="a", observed="string", required="double")
TOO_FEW = Reason(stage="rollout", rule="min_requests", observed=3, required=100)

EVALUATION = evaluate.EvaluationReport(
    model_name="m",
    challenger_uri="models:/m-1",
    challenger_digest="sha256:2",
    champion_version=4,
    split_digest="sha256:3",
    n_rows=100,
    baseline="mean",
    confidence_level=0.95,
    comparisons=(COMPARISON,),
)
SPLIT = split.DatasetSplit(
    snapshot_digest="sha256:1",
    method="time",
    cut="2026",
    columns=COLUMNS,
    timestamp="at",
    train=PART,
    test=PART,
    feature_digests={"weather": "sha256:9"},
    recipe=split.SplitRecipe(
        dataset="d",
        snapshot_uri="/snapshots/1",
        features="SELECT * FROM dataset",
        feature_tables=(FeatureTable(name="weather", source=DatasetSpec(path="d.weather", timestamp="at")),),
        split=SplitSpec(gap="P7D", key=("a",)),
    ),
)

EXAMPLES: list[Value] = [
    batch.PredictionBatch(
        model_name="m",
        model_version=3,
        model_digest="sha256:2",
        snapshot_digest="sha256:1",
        uri="/predictions/m/1",
        digest="sha256:4",
        n_rows=3,
        columns=COLUMNS,
        key=("a",),
        n_logged=2,
        started_at=AT,
        ended_at=AT,
        report_uri="reports/p/r/predictions_m.html",
    ),
    PipelineRun(pipeline="p", run_id="r", trigger="scheduled", actor="ada"),
    deployment.Deployment(
        model_name="m",
        champion_version=3,
        challenger_version=4,
        mode=deployment.DeploymentMode.CANARY,
        share=0.1,
        salt="autumn",
        since=AT,
        key="sha256:1",
    ),
    snapshot.DatasetSnapshot(
        dataset="d",
        uri="/snapshots/1",
        digest="sha256:1",
        n_rows=3,
        columns=COLUMNS,
        timestamp="at",
        window_start=datetime.fromisoformat("2026-01-01"),
        window_end=AT,
        source={"path": "/x", "files": [{"name": "a", "size": 3}]},
        created_at=AT,
        created_by="ada",
    ),
    findings.ValidationReport(
        snapshot_digest="sha256:1",
        n_rows=3,
        checks=(
            findings.Check(
                rule="r",
                severity=findings.Severity.INFO,
                found=RETYPED,
                outcome=findings.Outcome.MET,
                engine="DuckDB",
            ),
        ),
        findings=(
            findings.Finding(rule="r", severity=findings.Severity.WARNING, column="a", found=RETYPED, examples=("x",)),
        ),
        verdict=findings.Verdict.PROCEED,
        quarantine=findings.Quarantine(uri="/q", n_rows=1),
    ),
    leakage.LeakageReport(
        snapshot_digest="sha256:1",
        split_digest="a+b",
        target="y",
        n_train=8,
        n_test=2,
        n_sampled=8,
        n_checks=3,
        findings=(leakage.LeakageFinding(rule="r", columns=("a",), found=RETYPED, advice="x"),),
    ),
    SPLIT,
    training_record.TrainingRecord(
        model_name="m",
        run=PipelineRun(pipeline="p", run_id="r", try_number=2),
        training=TrainingSpec(target="y", function="a.b:train", params={"alpha": 0.5, "layers": [3, 4]}),
        split=SPLIT,
        fingerprint="sha256:6",
        model_digest="sha256:2",
        code=(training_record.CodeModule(import_path="a.b:train", digest="sha256:8", commit="c0ffee", is_dirty=True),),
        environment=training_record.Environment(python="3.11", platform="Linux", blas="", packages_digest="sha256:7"),
        n_threads=4,
        reasons=recorded("new data", stage="retraining"),
        champion_version=3,
        started_at=AT,
        durations_s={"fit": 0.1 + 0.2},
        package_version="1.0",
    ),
    reproduction.ReproductionReport(
        model_name="m",
        model_version=3,
        is_reproduced=False,
        agreement=reproduction.Agreement(is_exact=False, is_within=False, n_rows=3, n_differing=1, max_absolute=0.5),
        tolerance=0.0,
        n_threads=1,
        differences=(
            reproduction.Difference(
                kind=reproduction.DifferenceKind.CODE, subject="a.b", recorded="sha256:8", found="sha256:9"
            ),
        ),
        record_digest="sha256:7",
    ),
    EVALUATION,
    rules.GateDecision(
        model_name="m",
        verdict=rules.BlessingVerdict.REJECTED,
        reasons=(REASON, *recorded("too bad")),
        champion_version=3,
        evidence_digest="sha256:4",
        run_id="r",
        at=AT,
    ),
    rules.Blessing(
        model_name="m",
        verdict=rules.BlessingVerdict.REJECTED,
        reasons=(REASON, *recorded("too bad")),
        model_digest="sha256:2",
        champion_version=None,
        evidence_digest="sha256:4",
    ),
    step_request.StepRequest(
        version="1.0", step="train", arguments={"model_name": "m"}, run=PipelineRun(pipeline="p", run_id="r")
    ),
    step_request.StepError(type="TrainingError", message="it failed"),
    serving_check.ServingCheckReport(
        model_name="m",
        model_uri="models:/m-1",
        model_digest="sha256:2",
        split_digest="sha256:3",
        settings_digest="sha256:8",
        env_manager="local",
        n_golden_rows=3,
        checks=(
            serving_check.judge_answers(
                "golden_rows", [serving_check.Answer(status=400)], None, expected="predictions_or_error"
            ),
        ),
        footprint=serving_check.ServingFootprint(latency_p95_ms=12.5),
    ),
    conversion.ConversionReport(
        model_name="m",
        run_id="r",
        model_digest="sha256:2",
        split_digest="sha256:3",
        format="onnx",
        settings_digest="sha256:8",
        tolerance=1e-5,
        status=conversion.ConversionStatus.REFUSED,
        reasons=conversion.judge_parity(PARITY, tolerance=1e-5)[1],
        parity=PARITY,
    ),
    tuning.TuningResult(
        model_name="m",
        fingerprint="sha256:6",
        split_digest="sha256:3",
        metric="r2",
        best_params={"alpha": 0.5},
        best_score=0.75,
        best_trial=1,
        default_score=0.5,
        n_folds=3,
        n_trials=8,
        n_finished=5,
        n_pruned=3,
        n_failed=0,
        seconds=1.5,
        run_id="r",
    ),
    profile.DatasetProfile(
        snapshot_digest="sha256:1",
        n_rows=3,
        columns=(profile.ColumnProfile(name="a", edges=(0.1, 0.30000000000000004), counts={"null": 3}),),
    ),
    drift_report.DriftReport(
        model_name="m",
        status=drift_report.DriftStatus.DRIFTED,
        reasons=(MOVED,),
        current_digest="sha256:5",
        columns=(
            drift_report.ColumnDrift(
                name="a",
                kind=drift_report.ColumnKind.TARGET,
                statistics={"psi": 0.3, "wasserstein": float("inf")},
                p_values={"chi_square": 1e-300},
                importance=0.5,
                is_drifted=True,
                reasons=(MOVED,),
            ),
        ),
        domain_score=0.75,
        window_end=AT,
    ),
    performance_report.PerformanceReport(
        model_name="m",
        model_version=3,
        status=performance_report.PerformanceStatus.SUSPECT,
        reasons=(WORSE,),
        checked_at=AT,
        windows=(
            performance_report.WindowPerformance(
                start=AT,
                end=AT,
                status=performance_report.PerformanceStatus.DEGRADED,
                reasons=(WORSE,),
                counts=performance_report.PredictionCounts(n_predictions=9, n_labelled=3),
                metrics=(
                    performance_report.MetricPerformance(
                        metric="accuracy",
                        direction="higher_is_better",
                        value=INTERVAL,
                        at_blessing=0.9,
                        against_blessing=INTERVAL,
                    ),
                ),
                slices=(
                    performance_report.SlicePerformance(
                        name="a=1", n_rows=3, value=0.1 + 0.2, at_blessing=0.9, against_blessing=INTERVAL
                    ),
                ),
                estimates={"accuracy": 0.8},
            ),
        ),
        cohorts=(
            performance_report.Cohort(
                start=AT,
                end=AT,
                is_mature=False,
                counts=performance_report.PredictionCounts(),
                values={"accuracy": 0.5},
            ),
        ),
        labels=performance_report.LabelCounts(n_rows=3, n_unknown=1),
    ),
    alert.MonitoringDecision(
        model_name="m",
        champion_version=2,
        kinds=("drift",),
        reasons=recorded("DRIFTED", stage="retraining"),
        evidence=(decision.CheckEvidence(kind="drift", state="DRIFTED", rows_id="sha256:1"),),
        run_id="r",
        at=AT,
    ),
    decision.RetrainDecision(
        model_name="m",
        should_retrain=True,
        reasons=(decision.take_reason("forced", "RETRAIN"), REASON),
        snapshot_digest="sha256:1",
        fingerprint="sha256:6",
        evidence=(decision.CheckEvidence(kind="drift", state="STABLE", report_uri="reports/p/r/drift.html"),),
        run_id="r",
        trigger="manual",
        at=AT,
    ),
    journal.ModelVersion(
        model_name="m",
        model_version=3,
        model_digest="sha256:2",
        run_id="r",
        snapshot_digest="sha256:1",
        evidence_digest="sha256:4",
        tags={"a": "b"},
    ),
    journal.PromotionRecord(
        sequence=1,
        action="promote",
        model_name="m",
        from_version=None,
        to_version=3,
        reason="as agreed",
        reasons=(REASON,),
        actor="ada",
        run_id="r",
        at=AT,
        key="sha256:7",
    ),
    backtest.BacktestPoint(
        track="policy",
        at=AT,
        until=AT,
        error=None,
        n_rows=0,
        months=(backtest.MonthError(month="2026-01", error=0.5, n_rows=3),),
        is_trained=True,
        is_promoted=False,
        outcome="REJECTED",
        serves=AT,
        seconds=1.5,
    ),
    backtest.BacktestReport(
        model_name="m",
        metric="accuracy",
        direction="higher_is_better",
        since=AT,
        until=AT,
        every_seconds=60.0,
        summaries=(backtest.summarise("never", ()),),
        points=(),
    ),
    online_validation.RolloutReport(
        model_name="m",
        verdict=online_validation.RolloutVerdict.WATCHED,
        reasons=(TOO_FEW,),
        mode="canary",
        share=0.1,
        champion=online_validation.RolloutSide(model_version=2, n_requests=3, latencies={7: 3}),
        challenger=online_validation.RolloutSide(model_version=3, n_failed=1, predictions={"yes": 2}),
        since=AT,
        until=AT,
        look=1,
        n_looks=4,
        key="sha256:7",
    ),
    journal.PromotionRecord(
        sequence=2,
        action="mark_unhealthy",
        model_name="m",
        from_version=1,
        to_version=3,
        reason="it leaked",
        actor="ada",
        run_id="r",
        at=AT,
        key="sha256:8",
    ),
    descriptions.ChampionChange(
        model_name="m",
        model_version=3,
        from_version=None,
        action="promote",
        reason="blessed",
        sequence=1,
        model_digest="sha256:2",
        evidence_digest="sha256:4",
        metrics={"accuracy": 0.9, "r2": float("-inf")},
    ),
    verification.VerificationReport(
        model_name="m", checks=(verification.Check(subject="alias", is_good=False, found="points to nothing"),)
    ),
    approval.Approval(
        model_name="m",
        model_version=3,
        blessing_digest="sha256:8",
        champion_version=2,
        is_approved=True,
        by="ada",
        note="as agreed",
        run_id="r",
        at=AT,
        key="sha256:7",
    ),
    model.TrainedModel(
        model_name="m",
        run_id="r",
        model_uri="models:/m-1",
        model_digest="sha256:2",
        fingerprint="sha256:6",
        snapshot_digest="sha256:1",
        split_digest="sha256:3",
        target="y",
        features=("a", "b"),
        params={"alpha": 0.5, "layers": [3, 4], "solver": None},
        metrics={"rows": 3.0},
    ),
]


def _beside_the_tests() -> list[Value]:
    """Return the examples that stand with the tests of their module, each called ``EXAMPLE``."""
    here = Path(__file__).parent
    files = [file for file in sorted(here.glob("*/test_*.py")) if "\nEXAMPLE = " in file.read_text()]
    return [importlib.import_module(f"tests.core.{file.parent.name}.{file.stem}").EXAMPLE for file in files]


EXAMPLES += _beside_the_tests()

each_value = pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)


def test_there_is_an_example_of_every_value():
    def below(cls: type) -> set[type]:
        return {cls} | {leaf for child in cls.__subclasses__() for leaf in below(child)}

    of_the_package = {cls for cls in below(Value) - {Value} if cls.__module__.startswith("airflow_mlops.core")}
    assert {type(value) for value in EXAMPLES} == of_the_package


@each_value
def test_a_value_survives_the_way_through_json(value):
    document = json.loads(json.dumps(value.to_dict(), allow_nan=False))
    again = type(value).from_dict(document)
    assert again == value
    assert again.content_digest == value.content_digest


@each_value
def test_a_value_says_its_kind_and_version(value):
    assert value.to_dict()["kind"] == type(value).__name__
    assert value.to_dict()["schema_version"] == type(value).schema_version


@each_value
def test_a_value_can_not_be_changed(value):
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")


@each_value
def test_a_value_that_is_one_already_is_returned_as_it_is(value):
    assert type(value).from_dict(value) is value


@each_value
def test_a_document_of_another_kind_is_refused(value):
    document = {**value.to_dict(), "kind": "SomethingElse"}
    with pytest.raises(IntegrityError, match=f"Expected a {type(value).__name__} document, .* 'SomethingElse'"):
        type(value).from_dict(document)


@each_value
@pytest.mark.parametrize("version", ["newer", None, "1"])
def test_a_document_of_a_version_that_is_not_known_is_refused(value, version):
    known = type(value).schema_version
    version = known + 1 if version == "newer" else version
    with pytest.raises(IntegrityError, match=f"schema version {version!r}, this package reads up to {known}. Upgrade"):
        type(value).from_dict({**value.to_dict(), "schema_version": version})


def test_a_document_of_an_older_version_is_read_as_it_is_where_no_field_changed():
    class Newer(PipelineRun):
        schema_version = PipelineRun.schema_version + 1

    run = Newer(pipeline="p", run_id="r", actor="ada")
    assert Newer.from_dict({**run.to_dict(), "schema_version": PipelineRun.schema_version}) == run


@pytest.mark.parametrize(
    "kind", ["Blessing", "ConversionReport", "GateDecision", "MonitoringDecision", "RetrainDecision", "TrainingRecord"]
)
def test_sentences_that_an_older_version_wrote_as_reasons_are_quoted(kind: str):
    value = next(value for value in EXAMPLES if type(value).__name__ == kind)
    again = type(value).from_dict({**value.to_dict(), "schema_version": 1, "reasons": ["It is worse."]})
    assert [(reason.rule, reason.recorded) for reason in again.reasons] == [("recorded", "It is worse.")]


@each_value
def test_a_document_that_lost_a_field_is_damaged(value):
    document = value.to_dict()
    del document[dataclasses.fields(value)[0].name]
    with pytest.raises(IntegrityError, match=f"{type(value).__name__}: the document is damaged"):
        type(value).from_dict(document)


@each_value
def test_a_document_with_a_field_of_another_type_is_damaged(value):
    document = {**value.to_dict(), dataclasses.fields(value)[0].name: {"not": "this"}}
    with pytest.raises(IntegrityError, match="the document is damaged"):
        type(value).from_dict(document)


@pytest.mark.parametrize("document", [None, "x", [1], 3])
def test_what_is_no_document_at_all_is_refused(document):
    with pytest.raises(IntegrityError, match="Expected a PipelineRun document, found"):
        PipelineRun.from_dict(document)


def test_nan_and_infinity_survive_the_way_through_json():
    odd = evaluate.Interval(difference=float("nan"), low=float("-inf"), high=float("inf"))
    report = dataclasses.replace(EVALUATION, comparisons=(dataclasses.replace(COMPARISON, against_baseline=odd),))
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    again = evaluate.EvaluationReport.from_dict(document)
    assert repr(again.comparisons[0].against_baseline) == repr(odd)


def test_the_content_digest_changes_with_any_field():
    run = PipelineRun(pipeline="p", run_id="r")
    others = [
        dataclasses.replace(run, **{field.name: 7 if field.name == "try_number" else "other"})
        for field in dataclasses.fields(run)
    ]
    assert len({each.content_digest for each in [run, *others]}) == 1 + len(others) == 6


json_documents: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_documents, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(document):
    assert digest_of(dict(reversed(document.items()))) == digest_of(document)
    assert digest_of(json.loads(json.dumps(document))) == digest_of(document)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_has_no_word_for_has_no_digest(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"a": number})


def test_a_step_keeps_its_key_on_a_retry_and_gets_another_for_other_inputs():
    run = PipelineRun(pipeline="p", run_id="r", trigger="manual", actor="ada")
    retry = PipelineRun(pipeline="p", run_id="r", trigger="scheduled", actor="scheduler", try_number=2)
    assert run.step_key("train", "d1") == retry.step_key("train", "d1")
    others = {
        run.step_key("train", "d1"),
        run.step_key("train", "d2"),
        run.step_key("train", "d1", "d2"),
        run.step_key("evaluate", "d1"),
        PipelineRun(pipeline="p", run_id="r2").step_key("train", "d1"),
        PipelineRun(pipeline="p2", run_id="r").step_key("train", "d1"),
    }
    assert len(others) == 6
