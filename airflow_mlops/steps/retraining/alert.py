"""Is what is seen in production a reason to train: the decision, which is written down, yes or no."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from airflow_mlops.core.monitoring.drift_report import DriftReport
from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.retraining.alert import MonitoringDecision, decide_alert, missing_reports
from airflow_mlops.core.retraining.decision import CheckEvidence, RetrainDecision, take_reason
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.registry.ledger import append_decision, of_kind, read_ledger

__all__ = ["evidence_of", "raise_alert", "repeat_reasons"]

log = logging.getLogger(__name__)


def raise_alert(
    *,
    model_name: str,
    kinds: Collection[str],
    drift: DriftReport | None = None,
    performance: PerformanceReport | None = None,
    checks: Collection[str] = (),
    monitoring: MonitoringSpec | None = None,
    policy: RetrainPolicy | None = None,
    now: datetime | None = None,
    platform: Platform,
    run: PipelineRun,
) -> MonitoringDecision:
    """Decide whether what the checks found starts the training, and write the decision to the ledger, yes or no.

    A check that failed has no report and is no evidence, neither of an alert nor of its absence; the reasons say so of
    each that ``checks`` names. A run that is cleared once it was fixed decides again, and this counts in place of what
    it decided before.

    :param kinds: the evidence that may start a training: ``drift``, ``performance``. The rest is noted.
    :param drift: what a drift check of the inference log found.
    :param performance: what late labels say of the champion.
    :param checks: the checks that there are to be, of ``drift`` and ``performance``.
    :param monitoring: how long an alert may go unanswered.
    :param policy: when the training trains.
    :param now: with a zone; by default the present time.
    """
    ledger, now = read_ledger(model_name, storage=platform.storage), now or datetime.now(UTC)
    history = of_kind(MonitoringDecision, ledger)
    champion = current_champion(model_name, platform=platform)
    version = champion.model_version if champion else None
    evidence, shifts = evidence_of(drift=drift, performance=performance, champion_version=version)
    given = [kind for kind, report in (("drift", drift), ("performance", performance)) if report]
    mine = [entry for entry in history if entry.run_id == run.run_id]
    if mine and mine[-1].evidence == evidence:
        return mine[-1]
    last = {entry.run_id: entry.content_digest for entry in history} | {run.run_id: ""}
    history = [entry for entry in history if entry.is_alert or last[entry.run_id] == entry.content_digest]
    found, reasons = decide_alert(
        policy or RetrainPolicy(),
        kinds=kinds,
        champion_version=version,
        evidence=evidence,
        shifts=(*missing_reports(checks, given), *shifts),
        history=history,
        decisions=of_kind(RetrainDecision, ledger),
        answer_within=(monitoring or MonitoringSpec()).answer_within,
        now=now,
    )
    decision = MonitoringDecision(
        model_name=model_name,
        champion_version=version,
        kinds=found,
        reasons=reasons,
        evidence=evidence,
        run_id=run.run_id,
        trigger=run.trigger,
        at=now,
    )
    append_decision(decision, storage=platform.storage)
    log.info("monitoring: is_alert=%s %s", decision.is_alert, " ".join(sentences_of(reasons)))
    return decision


def evidence_of(
    *, drift: DriftReport | None, performance: PerformanceReport | None, champion_version: int | None
) -> tuple[tuple[CheckEvidence, ...], tuple[Reason, ...]]:
    """Return what checks found as a ledger keeps it: states, reports and rows, and the reasons of what was seen.

    What was found of a version that is champion no longer is noted, and is no evidence about the present one.
    """
    evidence: list[CheckEvidence] = []
    shifts: list[Reason] = []
    if drift and drift.champion_version not in (None, champion_version):
        shifts.append(take_reason("other_version", subject="drift", observed=drift.champion_version))
    elif drift:
        rows = drift.current_digest or _span(drift.window_start, drift.window_end)
        evidence.append(
            CheckEvidence(kind="drift", state=drift.status.value, report_uri=drift.report_uri, rows_id=rows)
        )
        source = "drift_of_new_data" if drift.current_digest else "drift_in_production"
        shifts += repeat_reasons(source, drift.reasons, stage="monitoring")
    if performance and performance.model_version not in (None, champion_version):
        shifts.append(take_reason("other_version", subject="performance", observed=performance.model_version))
    elif performance:
        newest, state = performance.windows[0] if performance.windows else None, performance.status.value
        rows = _span(newest.start, newest.end) if newest else ""
        evidence.append(CheckEvidence(kind="performance", state=state, report_uri=performance.report_uri, rows_id=rows))
        if performance.status is not PerformanceStatus.OK:
            shifts += repeat_reasons("performance", performance.reasons, stage="monitoring")
    return tuple(evidence), tuple(shifts)


def repeat_reasons(source: str, reasons: Iterable[Reason | str], *, stage: str) -> tuple[Reason, ...]:
    """Return the reasons of another stage as a decision repeats them.

    :param source: where the decision has them from.
    """
    return tuple(
        Reason(stage=stage, rule="recorded", recorded=each, source=source)
        if isinstance(each, str)
        else replace(each, source=source)
        for each in reasons
    )


def _span(start: datetime | None, end: datetime | None) -> str:
    return f"{start.isoformat()}--{end.isoformat()}" if start and end else ""
