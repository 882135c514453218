"""Promotion: a blessed model becomes a version, a version becomes champion, and the way back."""

from __future__ import annotations

import logging
from typing import Literal

from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.promotion.approval import Approval, require_approval
from airflow_mlops.core.registry.descriptions import describe_version
from airflow_mlops.core.registry.journal import (
    ModelVersion,
    PromotionRecord,
    plan_mark,
    plan_promotion,
    plan_rollback,
)
from airflow_mlops.core.registry.training_record import RECORD_TAG
from airflow_mlops.core.rollout.online_validation import RolloutReport, require_healthy
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError, NotBlessedError, SpecError
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.promotion.card import write_card
from airflow_mlops.steps.registry.journal import append_entry
from airflow_mlops.steps.registry.targets import end_rollout

__all__ = [
    "mark_unhealthy",
    "promote_model",
    "register_model",
    "rollback_model",
]

log = logging.getLogger(__name__)

_CARRIED = ("mlops.formats", "mlops.onnx_digest")
"""Tags of the training's run that its version gets too."""


def register_model(
    model: TrainedModel, blessing: Blessing, *, description: str = "", platform: Platform
) -> ModelVersion:
    """Register a model that is blessed, or that a person is to decide on, as a version, and write its card.

    The same model is the same version, however often it is asked for. A card that can't be written is no reason to
    lose the version: it is left out with a warning, and the next try writes it.

    :param description: what the model is for, for its card.
    :raises NotBlessedError: when the gate did not bless it.
    :raises IntegrityError: when the blessing is another model's.
    """
    if blessing.model_digest != model.model_digest:
        raise IntegrityError(f"The blessing is not of {model.model_uri}. Nothing was registered.")
    if blessing.is_over:
        raise NotBlessedError(f"{blessing} Nothing was registered and the champion stays.")
    version = platform.mlflow.find_version(model.model_name, model.model_digest)
    if version:
        log.info("version found from an earlier try: model_version=%d", version.model_version)
    else:
        version = _create_version(model, blessing, platform)
    if version.report_uri:
        return version
    return write_card(version, blessing, description=description, run_url=model.run_url, platform=platform)


def _create_version(model: TrainedModel, blessing: Blessing, platform: Platform) -> ModelVersion:
    tags = {
        "mlops.model_digest": model.model_digest,
        "mlops.snapshot_digest": model.snapshot_digest,
        "mlops.split_digest": model.split_digest,
        "mlops.fingerprint": model.fingerprint,
        "mlops.evidence_digest": blessing.evidence_digest,
        **({RECORD_TAG: model.record_digest} if model.record_digest else {}),
        **platform.mlflow.tags_of_run(model.run_id, _CARRIED),
    }
    description = describe_version(sentences_of(blessing.reasons), run_id=model.run_id, tags=tags)
    version = platform.mlflow.create_version(model, tags, description)
    log.info("registered: model_name=%s model_version=%d", version.model_name, version.model_version)
    return version


def promote_model(
    version: ModelVersion,
    blessing: Blessing,
    *,
    platform: Platform,
    run: PipelineRun,
    policy: Literal["automatic", "hold"] = "automatic",
    approval: Approval | None = None,
    needs_approval: bool = False,
    canary: RolloutReport | None = None,
) -> PromotionRecord | None:
    """Make a blessed version champion, if the champion is still the one that it was compared with.

    First the journal, which is the truth, then the alias, which follows it. A retry finds its own entry.

    :param policy: ``hold`` leaves the version registered and the champion in place.
    :param approval: a person's answer; what the gate could not decide needs one.
    :param needs_approval: whether what the gate has blessed needs one, too.
    :param canary: what was found when it was tried on live requests; it must have been healthy.
    :returns: the journal's entry; ``None`` when it was held.
    :raises NotBlessedError: when it is neither blessed nor approved.
    :raises PromotionConflictError: when the champion changed since the evaluation, or the approval is void.
    :raises IntegrityError: when the version's files are not those that were evaluated.
    :raises UntrustedModelError: when it needs a type that the platform does not trust.
    """
    if version.model_digest != blessing.model_digest:
        raise NotBlessedError(f"{version.model_name} v{version.model_version} is not what was blessed. {blessing}")
    if policy == "hold":
        platform.mlflow.set_tags(version.run_id, {"mlops.outcome": "HELD"})
        log.info("held: model_name=%s model_version=%d", version.model_name, version.model_version)
        return None
    approval = require_approval(approval, version=version, blessing=blessing, is_required=needs_approval)
    if canary:
        require_healthy(canary, version)
    _check_files(version, platform)
    key = run.step_key("promote", version.model_digest)

    def plan(journal: list[PromotionRecord]) -> tuple[int, str]:
        plan_promotion(
            model_name=version.model_name,
            journal=journal,
            expected=blessing.champion_version,
            to_version=version.model_version,
        )
        told = [str(each) for each in (approval, canary) if each]
        return version.model_version, "\n".join(told)

    record = append_entry(
        "promote",
        version.model_name,
        plan,
        key=key,
        evidence_digest=blessing.evidence_digest,
        reasons=blessing.reasons,
        platform=platform,
        run=run,
    )
    platform.mlflow.set_tags(version.run_id, {"mlops.outcome": "PROMOTED"})
    end_rollout(version.model_name, challenger_version=version.model_version, storage=platform.storage)
    return record


def rollback_model(
    model_name: str,
    *,
    reason: str,
    from_version: int | None = None,
    to_version: int | None = None,
    platform: Platform,
    run: PipelineRun,
) -> PromotionRecord:
    """Make the last healthy champion, or a named earlier one, champion again.

    The version that is rolled back from counts as unhealthy from then on.

    :param reason: why, for the journal; it must say something.
    :param from_version: the champion that is to go, so that nothing happens if it is another one by now.
    :param to_version: a version that was champion before; by default the last healthy one.
    :raises PromotionConflictError: when there is no version to go back to, or another one is champion.
    """
    _require_reason(f"{model_name} not rolled back", reason)
    key = run.step_key("rollback", model_name, str(to_version))

    def plan(journal: list[PromotionRecord]) -> tuple[int, str]:
        target = plan_rollback(model_name=model_name, journal=journal, from_version=from_version, to_version=to_version)
        _check_files(platform.mlflow.get_version(model_name, target), platform)
        return target, reason

    return append_entry("rollback", model_name, plan, key=key, evidence_digest="", platform=platform, run=run)


def mark_unhealthy(
    model_name: str, model_version: int, *, reason: str, platform: Platform, run: PipelineRun
) -> PromotionRecord:
    """Note in the journal that a version is bad, which was found out later: it does not return by itself.

    Nothing moves. The present champion serves on when it is marked; a rollback is the way to another one.

    :param reason: why, for the journal; it must say something.
    :raises PromotionConflictError: when it is unhealthy already, or nothing was promoted yet.
    :raises IntegrityError: when the registry does not have the version.
    """
    _require_reason(f"{model_name} v{model_version} not marked", reason)
    platform.mlflow.get_version(model_name, model_version)

    def plan(journal: list[PromotionRecord]) -> tuple[int, str]:
        return plan_mark(model_name=model_name, journal=journal, model_version=model_version), reason

    key = run.step_key("mark_unhealthy", model_name, str(model_version))
    record = append_entry(
        "mark_unhealthy", model_name, plan, from_version=model_version, key=key, platform=platform, run=run
    )
    if record.to_version == model_version:
        log.warning("the champion is unhealthy and serves on, roll it back: model_version=%d", model_version)
    return record


def _require_reason(subject: str, reason: str) -> None:
    if not reason.strip():
        raise SpecError(f"{subject}: give a reason, the journal keeps it. Nothing was changed.")


def _check_files(version: ModelVersion, platform: Platform) -> None:
    """See that a version's files are those that were verified, and may be loaded."""
    from airflow_mlops.steps.registry.models import check_loadable  # which imports what loads models

    uri = f"models:/{version.model_name}/{version.model_version}"
    with platform.mlflow.downloaded(uri, version.model_digest) as folder:
        check_loadable(f"{version.model_name} v{version.model_version}", folder, version.model_digest, platform)
