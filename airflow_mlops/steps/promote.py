"""Promotion: a blessed model becomes a version, a version becomes champion, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from airflow_mlops.adapters.storage import AppendOnlyLog, Storage
from airflow_mlops.core.approve import Approval, require_approval
from airflow_mlops.core.gate import Blessing
from airflow_mlops.core.lineage import RECORD_TAG
from airflow_mlops.core.promote import (
    ModelVersion,
    PromotionRecord,
    champion_of,
    needs_alias,
    plan_promotion,
    plan_rollback,
)
from airflow_mlops.core.rollout import RolloutReport, require_healthy
from airflow_mlops.core.train import TrainedModel
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import IntegrityError, NotBlessedError, SpecError, bounded
from airflow_mlops.steps._platform import Platform, folder_name
from airflow_mlops.steps._targets import end_rollout

__all__ = ["current_champion", "promote_model", "read_journal", "register_model", "rollback_model"]

log = logging.getLogger(__name__)

_CARRIED = ("mlops.formats", "mlops.onnx_digest")
"""Tags of the training's run that its version gets too."""

Plan = Callable[[list[PromotionRecord]], tuple[int, str]]
"""From the journal to the version that is to serve, and why; it raises to refuse."""


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
    from airflow_mlops.steps.card import write_card  # which reads the training's record, and that the journal, here

    version = platform.mlflow.find_version(model.model_name, model.model_digest)
    if version:
        log.info("version found from an earlier try: model_version=%d", version.model_version)
    else:
        version = _create_version(model, blessing, platform)
    return version if version.report_uri else write_card(version, blessing, description=description, platform=platform)


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
    version = platform.mlflow.create_version(model, tags, description="\n".join(f"- {r}" for r in blessing.reasons))
    log.info("registered: model_name=%s model_version=%d", version.model_name, version.model_version)
    return version


def current_champion(model_name: str, *, platform: Platform) -> ModelVersion | None:
    """Return the version that serves, ``None`` before the first promotion.

    A promotion that was interrupted between its journal entry and the alias is completed on the way.

    :raises IntegrityError: when the alias was moved outside this pipeline, or the version is gone.
    """
    champion = champion_of(_settled_journal(model_name, platform))
    return None if champion is None else platform.mlflow.get_version(model_name, champion)


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
    with platform.mlflow.downloaded(f"models:/{version.model_name}/{version.model_version}", version.model_digest):
        pass  # the files are those that were evaluated, or this raises
    key = run.step_key("promote", version.model_digest)

    def plan(journal: list[PromotionRecord]) -> tuple[int, str]:
        plan_promotion(
            model_name=version.model_name,
            journal=journal,
            expected=blessing.champion_version,
            to_version=version.model_version,
        )
        told = [str(each) for each in (approval, canary) if each]
        return version.model_version, " ".join([*told, *blessing.reasons])

    record = _write_entry(
        "promote",
        version.model_name,
        plan,
        key=key,
        evidence_digest=blessing.evidence_digest,
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
    if not reason.strip():
        raise SpecError(f"{model_name} not rolled back: give a reason, the journal keeps it. Nothing was changed.")
    key = run.step_key("rollback", model_name, str(to_version))

    def plan(journal: list[PromotionRecord]) -> tuple[int, str]:
        target = plan_rollback(model_name=model_name, journal=journal, from_version=from_version, to_version=to_version)
        version = platform.mlflow.get_version(model_name, target)
        with platform.mlflow.downloaded(f"models:/{model_name}/{target}", version.model_digest):
            pass  # what it returns to is still there, unchanged
        return target, reason

    return _write_entry("rollback", model_name, plan, key=key, evidence_digest="", platform=platform, run=run)


def read_journal(model_name: str, *, storage: Storage) -> list[PromotionRecord]:
    """Return the journal of a model, oldest entry first.

    :raises IntegrityError: when an entry is missing, damaged, or was changed after the next one was written.
    """
    entries = [PromotionRecord.from_dict(entry) for entry in _journal(model_name, storage).entries()]
    foreign = {entry.model_name for entry in entries} - {model_name}
    if foreign:
        raise IntegrityError(
            f"The journal of {model_name} has entries of {bounded(sorted(foreign))}. Nothing was changed."
        )
    for before, entry in pairwise(entries):
        if entry.previous_digest != before.content_digest:
            raise IntegrityError(
                f"{model_name}: entry {before.sequence} of the journal was changed after it was written. Nothing was "
                f"promoted. Restore it from a backup."
            )
    return entries


def _write_entry(
    action: Literal["promote", "rollback"],
    model_name: str,
    plan: Plan,
    *,
    key: str,
    evidence_digest: str,
    platform: Platform,
    run: PipelineRun,
) -> PromotionRecord:
    """Append what was planned to the journal and let the alias follow; whoever loses a race plans again."""
    while True:
        journal = _settled_journal(model_name, platform)
        mine = next((entry for entry in journal if entry.key == key), None)
        if mine:
            log.info("journal entry found from an earlier try: sequence=%d", mine.sequence)
            return mine
        to_version, reason = plan(journal)
        record = PromotionRecord(
            sequence=len(journal) + 1,
            action=action,
            model_name=model_name,
            from_version=champion_of(journal),
            to_version=to_version,
            reason=reason,
            actor=run.actor,
            run_id=run.run_id,
            at=datetime.now(UTC),
            key=key,
            evidence_digest=evidence_digest,
            previous_digest=journal[-1].content_digest if journal else "",
        )
        if _journal(model_name, platform.storage).append(record.to_dict(), number=record.sequence):
            _settled_journal(model_name, platform)
            log.info("%s: model_name=%s from=%s to=%d", action, model_name, record.from_version, to_version)
            return record


def _settled_journal(model_name: str, platform: Platform) -> list[PromotionRecord]:
    """Return the journal, once the alias points to where its last entry says.

    Whoever comes here completes a promotion that was interrupted between its entry and the alias. Somebody
    may append in the meantime, so it is looked at again after every move.
    """
    log_of_model = _journal(model_name, platform.storage)
    moved_to: int | None = None
    while True:
        journal = read_journal(model_name, storage=platform.storage)
        alias = platform.mlflow.get_alias(model_name)
        champion = champion_of(journal)
        is_settled = bool(journal) and log_of_model.is_settled(journal[-1].sequence)
        if moved_to is not None and alias == moved_to != champion:
            target = champion  # this very move came after somebody else's entry
        else:
            target = needs_alias(model_name, journal, alias, is_settled=is_settled)
        if target is not None:
            platform.mlflow.set_alias(model_name, target)
            moved_to = target
        elif journal and not is_settled:
            log_of_model.settle(journal[-1].sequence)
        else:
            return journal


def _journal(model_name: str, storage: Storage) -> AppendOnlyLog:
    return storage.log("journals", folder_name(model_name))
