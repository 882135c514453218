"""Approval: what a person is shown before a promotion, and what the answer is worth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from airflow_mlops.adapters.documents import markdown
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.promotion.approval import Approval, ApprovalRequest
from airflow_mlops.core.registry.journal import ModelVersion, name_version
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import IntegrityError, PromotionConflictError
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion, read_evidence
from airflow_mlops.steps.registry.ledger import append_decision, read_ledger

__all__ = ["conclude_approval", "find_approval", "record_answer", "request_approval"]

log = logging.getLogger(__name__)


def request_approval(
    version: ModelVersion, blessing: Blessing, *, links: Mapping[str, str], platform: Platform
) -> ApprovalRequest:
    """Return what a person is asked, with the evidence that the gate judged.

    :param links: where to read more, by title.
    :raises PromotionConflictError: when another champion serves than the one that the evaluation saw.
    :raises IntegrityError: when the evidence is not what the gate judged.
    """
    evaluation = _check_still_holds(blessing, platform)
    shown = {"version": version, "blessing": blessing, "evaluation": evaluation, "links": dict(links)}
    return ApprovalRequest(
        subject=f"Promote version {version.model_version} of {version.model_name}? The gate says {blessing.verdict}.",
        body=markdown.render_markdown("approval.md", shown),
    )


def find_approval(blessing: Blessing, *, platform: Platform, run: PipelineRun) -> Approval | None:
    """Return the answer that an earlier try of this step was given."""
    key = _key(blessing, run)
    entries = read_ledger(blessing.model_name, storage=platform.storage)
    return next((entry for entry in entries if isinstance(entry, Approval) and entry.key == key), None)


def record_answer(
    version: ModelVersion,
    blessing: Blessing,
    *,
    is_approved: bool,
    by: str,
    note: str = "",
    platform: Platform,
    run: PipelineRun,
) -> Approval:
    """Write a person's answer to the ledger, bound to what the person was shown.

    :param by: who answered; empty when nobody did in time.
    """
    approval = Approval(
        model_name=version.model_name,
        model_version=version.model_version,
        blessing_digest=blessing.content_digest,
        champion_version=blessing.champion_version,
        is_approved=is_approved,
        by=by,
        note=note.strip(),
        run_id=run.run_id,
        at=datetime.now(UTC),
        key=_key(blessing, run),
    )
    append_decision(approval, storage=platform.storage)
    log.info("approval: model_version=%d %s", version.model_version, approval)
    return approval


def conclude_approval(approval: Approval, version: ModelVersion, blessing: Blessing, *, platform: Platform) -> None:
    """See that an answer holds: what was declined is over, what was approved must still be what it was.

    :raises PromotionConflictError: when another version has become champion.
    :raises IntegrityError: when the evidence is gone, or was changed.
    """
    if approval.is_approved:
        _check_still_holds(blessing, platform)
    else:
        platform.mlflow.set_tags(version.run_id, {"mlops.outcome": "DECLINED"})


def _check_still_holds(blessing: Blessing, platform: Platform) -> EvaluationReport:
    """Return the evidence that the gate judged, having seen that it and the champion are still the same."""
    champion = current_champion(blessing.model_name, platform=platform)
    serving = champion.model_version if champion else None
    if serving != blessing.champion_version:
        raise PromotionConflictError(
            f"{blessing.model_name}: no approval can be given. The evaluation compared with "
            f"{name_version(blessing.champion_version)}, {name_version(serving)} is champion now, so an approval of it "
            f"is void. Nothing was changed. Run the pipeline again to compare with the present champion."
        )
    try:
        return read_evidence(blessing.model_name, blessing.evidence_digest, storage=platform.storage)
    except IntegrityError as error:
        raise IntegrityError(
            f"{blessing.model_name}: no approval can be given. {error} What the gate judged is gone or was changed, so "
            f"an approval by it is void. Nothing was promoted. Run the pipeline again."
        ) from error


def _key(blessing: Blessing, run: PipelineRun) -> str:
    return run.step_key("approve", blessing.content_digest)
