"""One value of each kind that says something of data or of a model."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.evaluation.report import EvaluationReport, MetricComparison
from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict
from airflow_mlops.core.monitoring.drift_report import ColumnDrift, DriftReport, DriftStatus
from airflow_mlops.core.monitoring.performance_report import (
    MetricPerformance,
    PerformanceReport,
    PerformanceStatus,
    PredictionCounts,
    WindowPerformance,
)
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutSide, RolloutVerdict
from airflow_mlops.core.scoring.batch import PredictionBatch
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.validation.findings import Quarantine, ValidationReport, Verdict
from airflow_mlops.core.values import Value
from tests.core.cases import recorded

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NONE_YET = Interval(difference=0.0, low=-1.0, high=1.0)

SNAPSHOT = DatasetSnapshot(
    dataset="co2",
    uri="/store/snapshots/co2/1",
    digest="sha256:1",
    n_rows=300,
    columns=(),
    window_end=NOW - timedelta(hours=2),
    source={},
    created_at=NOW - timedelta(hours=1),
    created_by="ada",
)
VALIDATION = ValidationReport(
    snapshot_digest="sha256:1",
    n_rows=300,
    checks=(),
    findings=(),
    verdict=Verdict.QUARANTINE,
    quarantine=Quarantine(uri="/store/q", n_rows=7),
)
DRIFT = DriftReport(
    model_name="co2",
    status=DriftStatus.DRIFTED,
    reasons=(Reason(stage="monitoring", rule="decided_by_evidently"),),
    current_digest="",
    columns=(
        ColumnDrift(
            name="last co2",
            statistics={"psi": 0.4, "jensen_shannon": 0.3, "wasserstein": 2.0, "a new one": 1.0},
            is_drifted=True,
        ),
        ColumnDrift(name="month", statistics={"psi": math.nan}, is_drifted=False),
    ),
    domain_score=0.8,
)
PERFORMANCE = PerformanceReport(
    model_name="co2",
    model_version=3,
    status=PerformanceStatus.DEGRADED,
    reasons=(),
    checked_at=NOW,
    windows=(
        WindowPerformance(
            start=NOW - timedelta(days=2),
            end=NOW,
            status=PerformanceStatus.DEGRADED,
            reasons=(),
            counts=PredictionCounts(n_predictions=10, n_labelled=8),
            metrics=(
                MetricPerformance(
                    metric="mean_absolute_error",
                    direction="lower_is_better",
                    value=Interval(difference=0.7, low=0.6, high=0.8),
                    at_blessing=0.5,
                    against_blessing=NONE_YET,
                ),
            ),
        ),
    ),
)
ALERT = MonitoringDecision(
    model_name="co2",
    champion_version=3,
    kinds=("drift",),
    reasons=recorded("It moved.", stage="retraining"),
    run_id="r",
    trigger="scheduled",
    at=NOW,
)
DECISION = RetrainDecision(
    model_name="co2",
    should_retrain=False,
    reasons=recorded("Nothing new.", stage="retraining"),
    snapshot_digest="sha256:1",
    fingerprint="sha256:2",
    run_id="r",
    trigger="manual",
    at=NOW,
)
MODEL = TrainedModel(
    model_name="co2",
    run_id="9f",
    model_uri="models:/m-1",
    model_digest="sha256:m",
    fingerprint="sha256:2",
    snapshot_digest="sha256:1",
    split_digest="sha256:3",
    target="y",
    features=("x",),
    params={},
)
EVALUATION = EvaluationReport(
    model_name="co2",
    challenger_uri="models:/m-1",
    challenger_digest="sha256:m",
    champion_version=2,
    split_digest="sha256:3",
    n_rows=60,
    baseline="mean",
    confidence_level=0.95,
    comparisons=(
        MetricComparison(
            metric="r2",
            direction="higher_is_better",
            challenger=0.9,
            baseline=-0.1,
            champion=0.8,
            against_baseline=NONE_YET,
        ),
    ),
)
BLESSING = Blessing(
    model_name="co2",
    verdict=BlessingVerdict.REJECTED,
    reasons=(
        Reason(
            stage="gate",
            rule="value_threshold",
            verdict="REJECTED",
            subject="r2",
            setting="gate.metrics.r2.value_threshold",
            observed=-0.2,
            required=0.05,
            n=60,
        ),
        Reason(stage="gate", rule="finite", verdict="REJECTED", subject="r2", observed=math.nan),
        Reason(stage="gate", rule="cold_start", verdict="BLESSED", observed=True, required=True),
        *recorded("Passed: it is good."),
    ),
    model_digest="sha256:m",
    champion_version=2,
    evidence_digest="sha256:e",
)
ROLLOUT = RolloutReport(
    model_name="co2",
    verdict=RolloutVerdict.WATCHED,
    reasons=(),
    mode="canary",
    share=0.1,
    champion=RolloutSide(model_version=2),
    challenger=RolloutSide(model_version=3),
    since=NOW,
    until=NOW,
    look=1,
    n_looks=4,
    key="k",
)
PROMOTION = PromotionRecord(
    sequence=2,
    action="promote",
    model_name="co2",
    from_version=2,
    to_version=3,
    reason="Better.",
    actor="ada",
    run_id="r",
    at=NOW,
    key="k",
)
BATCH = PredictionBatch(
    model_name="co2",
    model_version=3,
    model_digest="sha256:m",
    snapshot_digest="sha256:1",
    uri="/store/batch",
    digest="sha256:p",
    n_rows=300,
    columns=(),
    key=("id",),
    started_at=NOW,
    ended_at=NOW,
)
VALUES: tuple[Value, ...] = (
    SNAPSHOT, VALIDATION, DRIFT, PERFORMANCE, ALERT, DECISION, MODEL, EVALUATION, BLESSING, ROLLOUT, PROMOTION, BATCH,
)  # fmt: skip
