"""Online validation: a version is tried on live requests, watched, and goes on or is taken back."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.promotion.approval import Approval, require_approval
from airflow_mlops.core.registry.journal import ModelVersion, champion_of, plan_promotion
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.core.rollout.online_validation import RolloutReport, RolloutVerdict, judge_rollout
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import PromotionConflictError
from airflow_mlops.pages.rollout import rollout_page
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.specs.rollout import RolloutSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.promotion.promote import mark_unhealthy
from airflow_mlops.steps.registry.journal import settled_journal
from airflow_mlops.steps.registry.targets import RolloutTarget, ServerTarget, end_rollout

__all__ = ["RolloutTarget", "ServerTarget", "end_rollout", "look_at_rollout", "start_rollout", "take_back"]

log = logging.getLogger(__name__)

_REPORT = "rollout"


def start_rollout(
    version: ModelVersion,
    blessing: Blessing,
    rollout: RolloutSpec,
    *,
    approval: Approval | None = None,
    needs_approval: bool = False,
    target: RolloutTarget | None = None,
    platform: Platform,
    run: PipelineRun,
) -> Deployment | None:
    """Give a version its share of the live requests, beside the champion that it was compared with.

    A retry finds its own deployment. What would not be promoted is not tried.

    :returns: the deployment; ``None`` where there is no champion yet, beside which it could be tried.
    :raises NotBlessedError: when it is neither blessed nor approved.
    :raises PromotionConflictError: when the champion changed since the evaluation, or another version is being tried.
    """
    require_approval(approval, version=version, blessing=blessing, is_required=needs_approval)
    target = target or ServerTarget(platform.storage)
    name, current = version.model_name, target.current(version.model_name)
    key = run.step_key("deploy", version.model_digest)
    if current and current.key == key:
        log.info("deployment found from an earlier try: challenger=%s", current.challenger_version)
        return current
    journal = settled_journal(name, platform)
    plan_promotion(
        model_name=name, journal=journal, expected=blessing.champion_version, to_version=version.model_version
    )
    champion = champion_of(journal)
    if champion is None:
        log.info("nothing to try it against: there is no champion yet")
        return None
    if current and current.challenger_version not in (None, version.model_version, champion):
        raise PromotionConflictError(
            f"{name} v{version.model_version} not deployed: version {current.challenger_version} is being tried since "
            f"{current.since:%Y-%m-%d %H:%M}. Nothing was changed. Wait for its end, or end it with "
            f"`airflow-mlops end-rollout {name}`."
        )
    deployment = Deployment(
        model_name=name,
        champion_version=champion,
        challenger_version=version.model_version,
        mode=DeploymentMode(rollout.mode),
        share=rollout.share,
        salt=key,
        since=datetime.now(UTC),
        key=key,
    )
    target.put(deployment)
    log.info("deployed: mode=%s challenger=%d share=%g", rollout.mode, version.model_version, rollout.share)
    return deployment


def look_at_rollout(
    deployment: Deployment,
    rollout: RolloutSpec,
    *,
    look: int,
    now: datetime,
    performance: PerformanceSpec | None = None,
    connections: Connections | None = None,
    target: RolloutTarget | None = None,
    platform: Platform,
    run: PipelineRun,
) -> RolloutReport:
    """Judge a version by what it did until now; the last check decides.

    Where an earlier try has ended the rollout, what that one found is the answer.

    :param look: which one this is, from 1.
    :param now: with a zone; later requests do not count.
    :param performance: how labels find the challenger's predictions, where they come in time; ``None``: they do not.
    :param connections: opens the connection that the labels' spec names; ``None``: there is none.
    :raises PromotionConflictError: when it was ended otherwise, or something else is deployed by now.
    """
    target = target or ServerTarget(platform.storage)
    current = target.current(deployment.model_name)
    if current is None or current.key != deployment.key or current.challenger_version != deployment.challenger_version:
        return _final_report(deployment, current, platform=platform, run=run)
    champion, challenger = target.count(deployment, until=now)
    outcomes = None
    if performance:
        from airflow_mlops.steps.monitoring.performance import (
            check_performance,  # which imports what reads logs and labels
        )

        outcomes = check_performance(
            performance,
            model_name=deployment.model_name,
            model_version=deployment.challenger_version,
            connections=connections,
            platform=platform,
            run=replace(run, run_id=f"{run.run_id}__canary"),  # beside the champion's own report of this run
            now=now,
        )
    verdict, reasons = judge_rollout(
        champion=champion, challenger=challenger, rollout=rollout, outcomes=outcomes, is_last=look >= rollout.checks
    )
    report = RolloutReport(
        model_name=deployment.model_name,
        verdict=verdict,
        reasons=reasons,
        mode=deployment.mode,
        share=deployment.share,
        champion=champion,
        challenger=challenger,
        since=deployment.since,
        until=now,
        look=look,
        n_looks=rollout.checks,
        key=deployment.key,
        report_uri=platform.report_uri(run, _REPORT),
    )
    platform.record(run, _REPORT, report, rollout_page(report))
    log.info("rollout: look=%d/%d verdict=%s %s", look, rollout.checks, verdict, " ".join(sentences_of(reasons)))
    return report


def take_back(
    report: RolloutReport,
    version: ModelVersion,
    *,
    target: RolloutTarget | None = None,
    platform: Platform,
    run: PipelineRun,
) -> None:
    """End the rollout of a version that does harm, or of which nothing could be told.

    The journal keeps the reasons of what does harm, and that it is unhealthy. The rollout ends first, so that harm ends
    also where nothing can be noted; a retry finishes the rest.
    """
    end_rollout(report.model_name, challenger_version=version.model_version, target=target, storage=platform.storage)
    if report.verdict is RolloutVerdict.UNHEALTHY:
        mark_unhealthy(version.model_name, version.model_version, reason=str(report), platform=platform, run=run)
    platform.mlflow.set_tags(version.run_id, {"mlops.outcome": report.verdict})


def _final_report(
    deployment: Deployment, current: Deployment | None, *, platform: Platform, run: PipelineRun
) -> RolloutReport:
    """Return what an earlier try has found and ended the rollout for, so that what is left of it is done.

    :param current: what is deployed by now.
    :raises PromotionConflictError: when it was not this run that ended it.
    """
    is_over = current is not None and current.key == deployment.key and current.challenger_version is None
    path = platform.report_path(run, f"{_REPORT}.json")
    if is_over and platform.storage.exists(*path):
        report = RolloutReport.from_dict(platform.storage.read_json(*path))
        if report.key == deployment.key and report.verdict is not RolloutVerdict.WATCHED:
            log.info("rollout was ended by an earlier try: look=%d verdict=%s", report.look, report.verdict)
            return report
    raise PromotionConflictError(
        f"{deployment.model_name} v{deployment.challenger_version} can't be judged: "
        f"{'its rollout was ended' if is_over else 'something else was deployed'} while it was watched. "
        f"Nothing was changed and the champion stays. Run the pipeline again."
    )
