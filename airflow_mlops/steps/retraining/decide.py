"""Is it worth training again: the decision, which is written down, yes or no."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from airflow_mlops.core.gate.rules import digest_of_gate
from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.monitoring.performance_report import PerformanceReport
from airflow_mlops.core.registry.journal import unhealthy_versions, why_unhealthy
from airflow_mlops.core.retraining.alert import MonitoringDecision, open_alerts, reasons_of
from airflow_mlops.core.retraining.decision import CheckEvidence, Concluded, RetrainDecision, decide_retraining
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.tuning import tuning_fingerprint
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion, read_journal
from airflow_mlops.steps.registry.ledger import append_decision, of_kind, read_ledger
from airflow_mlops.steps.retraining.alert import evidence_of, repeat_reasons
from airflow_mlops.steps.training.train import recipe_of, training_fingerprint

__all__ = ["decide_retrain"]

log = logging.getLogger(__name__)


def decide_retrain(
    split: DatasetSplit,
    training: TrainingSpec,
    *,
    model_name: str,
    validation: ValidationReport | None = None,
    drift: DriftReport | None = None,
    performance: PerformanceReport | None = None,
    gate: GateSpec | None = None,
    tuning: TuningSpec | None = None,
    policy: RetrainPolicy | None = None,
    force: bool = False,
    now: datetime | None = None,
    platform: Platform,
    run: PipelineRun,
) -> RetrainDecision:
    """Decide whether this run trains, and write the decision to the ledger, yes or no.

    It answers the alerts of the monitoring that are in the ledger, whatever started the run: an alert whose own run was
    missed, or that came together with another, is answered here. Rows, code and parameters that an earlier run has
    brought to an end (promoted, held, rejected) do not train again, unless somebody forces it. See
    :class:`~airflow_mlops.specs.RetrainPolicy` for the rest.

    :param validation: what a validation found; a shift in values stands among the reasons.
    :param drift: what a drift check found; it stands among the reasons.
    :param performance: what late labels say of the champion; where that is not well, it stands among the reasons.
    :param gate: the gate of this run: what another gate rejected is worth training again.
    :param tuning: the search for hyperparameters that comes before the training, if there is one.
    :param policy: when to train; by default on whatever is new.
    :param now: with a zone; by default the present time. A replay of history gives its own.
    """
    fingerprint, tag = training_fingerprint(split, training), "mlops.fingerprint"
    if tuning:
        fingerprint, tag = tuning_fingerprint(fingerprint, tuning), "mlops.tuning_fingerprint"
    ledger, now = read_ledger(model_name, storage=platform.storage), now or datetime.now(UTC)
    history = of_kind(RetrainDecision, ledger)
    mine = [entry for entry in history if entry.run_id == run.run_id]
    if mine and mine[-1].fingerprint == fingerprint:
        return mine[-1]
    recipe_digest = recipe_of(training, tuning)
    champion = current_champion(model_name, platform=platform)
    version = champion.model_version if champion else None
    evidence, shifts = evidence_of(drift=drift, performance=performance, champion_version=version)
    if validation:
        state, page = validation.verdict.value, validation.report_uri
        evidence = (*evidence, CheckEvidence(kind="validation", state=state, report_uri=page))
        shifts = (*repeat_reasons("new_data", validation.retrain_reasons, stage="validation"), *shifts)
    alerts = open_alerts(version, of_kind(MonitoringDecision, ledger), history)
    should_retrain, reasons = decide_retraining(
        policy or RetrainPolicy(),
        force=force,
        champion_version=version,
        concluded=_concluded(model_name, {tag: fingerprint}, gate, platform),
        recipe_digest=recipe_digest,
        evidence=evidence,
        alerts=[reason for each in alerts for reason in reasons_of(each)],
        history=history,
        now=now,
        shifts=shifts,
    )
    decision = RetrainDecision(
        model_name=model_name,
        should_retrain=should_retrain,
        reasons=reasons,
        snapshot_digest=split.snapshot_digest,
        fingerprint=fingerprint,
        recipe_digest=recipe_digest,
        evidence=evidence,
        answered_alerts=tuple(each.content_digest for each in alerts),
        run_id=run.run_id,
        trigger=run.trigger,
        at=now,
    )
    append_decision(decision, storage=platform.storage)
    log.info("decision: should_retrain=%s %s", should_retrain, " ".join(sentences_of(reasons)))
    return decision


def _concluded(
    model_name: str, identity: dict[str, str], gate: GateSpec | None, platform: Platform
) -> Concluded | None:
    """Return how an earlier run of this identity ended, if it came to an end; by this gate, if it was judged."""
    for found in platform.mlflow.find_runs(model_name, identity):
        tags = found.data.tags
        outcome = tags.get("mlops.outcome")
        is_judged = outcome in ("REJECTED", "INCONCLUSIVE")
        if outcome and not (is_judged and gate is not None and tags.get("mlops.gate") != digest_of_gate(gate)):
            concluded = Concluded(run=tags.get("mlops.pipeline_run", found.info.run_id), outcome=outcome)
            return _with_what_became_of_it(concluded, model_name, tags.get("mlops.model_digest"), platform)
    return None


def _with_what_became_of_it(
    concluded: Concluded, model_name: str, model_digest: str | None, platform: Platform
) -> Concluded:
    """Add that the version of a run is known to be bad by now, if it is."""
    journal = read_journal(model_name, storage=platform.storage)
    version = platform.mlflow.find_version(model_name, model_digest) if model_digest and journal else None
    if version is None or version.model_version not in unhealthy_versions(journal):
        return concluded
    number = version.model_version
    return replace(concluded, unhealthy_version=number, why_unhealthy=why_unhealthy(journal, number))
