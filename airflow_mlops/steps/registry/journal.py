"""The journal of a model: the truth about who serves, which MLflow's alias follows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from airflow_mlops.adapters.storage.store import AppendOnlyLog, Storage
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import (
    ModelVersion,
    PromotionRecord,
    champion_of,
    check_known_entries,
    name_last_entry,
    needs_alias,
)
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import IntegrityError, bounded
from airflow_mlops.steps.platform import Platform, folder_name, short

if TYPE_CHECKING:  # it brings numpy, and the triggerer reads who serves without that
    from airflow_mlops.core.evaluation.report import EvaluationReport

__all__ = [
    "append_entry",
    "champion_version_of",
    "current_champion",
    "is_settled",
    "journal_state",
    "read_entries",
    "read_evidence",
    "read_journal",
    "settled_journal",
]

log = logging.getLogger(__name__)

_LOOKS, _PAUSE_S = 3, 0.1
"""So often it is looked again where MLflow and the journal disagree: somebody may be between the two."""

Plan = Callable[[list[PromotionRecord]], tuple[int, str]]
"""From the journal to the version that is to serve, and why; it raises to refuse."""


def read_journal(model_name: str, *, storage: Storage) -> list[PromotionRecord]:
    """Return the journal of a model, oldest entry first.

    :raises IntegrityError: when an entry is missing, damaged, or was changed after the next one was written.
    """
    return read_entries(model_name, storage=storage)[0]


def read_entries(model_name: str, *, storage: Storage) -> tuple[list[PromotionRecord], list[str]]:
    """Return the journal of a model, and the digest of each entry as it is stored.

    :raises IntegrityError: when an entry is missing, damaged, or was changed after the next one was written.
    """
    documents = _log(model_name, storage).entries()
    entries, digests = [PromotionRecord.from_dict(each) for each in documents], [digest_of(each) for each in documents]
    foreign = {entry.model_name for entry in entries} - {model_name}
    if foreign:
        raise IntegrityError(
            f"The journal of {model_name} has entries of {bounded(sorted(foreign))}. Nothing was changed."
        )
    for digest, (before, entry) in zip(digests, pairwise(entries), strict=False):
        if entry.previous_digest != digest:
            raise IntegrityError(
                f"{model_name}: entry {before.sequence} of the journal was changed after it was written. Nothing was "
                f"promoted. Restore it from a backup."
            )
    return entries, digests


def current_champion(model_name: str, *, platform: Platform) -> ModelVersion | None:
    """Return the version that serves, ``None`` before the first promotion.

    A promotion that was interrupted between its journal entry and the alias is completed on the way.

    :raises IntegrityError: when the alias was moved outside this pipeline, or the version is gone.
    """
    champion = champion_of(settled_journal(model_name, platform))
    return None if champion is None else platform.mlflow.get_version(model_name, champion)


def champion_version_of(model_name: str, *, storage: Storage) -> int | None:
    """Return the version that the journal says serves, once the alias is known to have followed; changes nothing.

    :raises IntegrityError: when the journal is damaged.
    """
    journal = read_journal(model_name, storage=storage)
    return champion_of(journal if is_settled(model_name, journal, storage=storage) else journal[:-1])


def journal_state(model_name: str, *, storage: Storage) -> tuple[int, bool]:
    """Return how many entries the journal has, and whether the last one has been carried out, without reading any.

    :raises IntegrityError: when an entry is missing.
    """
    log_of_model = _log(model_name, storage)
    n_entries = len(log_of_model)
    return n_entries, n_entries > 0 and log_of_model.is_settled(n_entries)


def is_settled(model_name: str, journal: Sequence[PromotionRecord], *, storage: Storage) -> bool:
    """Return whether the alias is known to have followed the last entry."""
    return bool(journal) and _log(model_name, storage).is_settled(journal[-1].sequence)


def read_evidence(model_name: str, digest: str, *, storage: Storage) -> EvaluationReport:
    """Return the evaluation that an entry was decided on.

    :param digest: which one.
    :raises IntegrityError: when it is missing, or is not the one that was judged.
    """
    from airflow_mlops.core.evaluation.report import EvaluationReport

    place = ("evidence", folder_name(model_name), f"{short(digest)}.json")
    document = storage.read_json(*place)
    if digest_of(document) != digest:
        raise IntegrityError(
            f"{storage.path(*place)} is not the evidence that the gate judged: it was changed. Restore it from a "
            f"backup."
        )
    return EvaluationReport.from_dict(document)


def append_entry(
    action: Literal["promote", "rollback", "mark_unhealthy"],
    model_name: str,
    plan: Plan,
    *,
    key: str,
    from_version: int | None = None,
    evidence_digest: str = "",
    reasons: tuple[Reason, ...] = (),
    platform: Platform,
    run: PipelineRun,
) -> PromotionRecord:
    """Append what was planned to the journal and let the alias follow; whoever loses a race plans again.

    :param key: the identity of the step; an entry that has it is this one, of an earlier try.
    :param from_version: by default the present champion.
    :param reasons: of the gate that it was decided on, beside what the plan says.
    """
    while True:
        journal, digests = _settle(model_name, platform)
        mine = next((entry for entry in journal if entry.key == key), None)
        if mine:
            log.info("journal entry found from an earlier try: sequence=%d", mine.sequence)
            return mine
        to_version, reason = plan(journal)
        record = PromotionRecord(
            sequence=len(journal) + 1,
            action=action,
            model_name=model_name,
            from_version=champion_of(journal) if from_version is None else from_version,
            to_version=to_version,
            reason=reason,
            reasons=reasons,
            actor=run.actor,
            run_id=run.run_id,
            at=datetime.now(UTC),
            key=key,
            evidence_digest=evidence_digest,
            previous_digest=digests[-1] if digests else "",
        )
        if _log(model_name, platform.storage).append(record.to_dict(), number=record.sequence):
            target = to_version if to_version != champion_of(journal) else None
            if not _follow(model_name, [*digests, record.content_digest], target, platform):
                _settle(model_name, platform, moved_to=target)
            log.info("%s: model_name=%s %s", action, model_name, record)
            return record


def settled_journal(model_name: str, platform: Platform) -> list[PromotionRecord]:
    """Return the journal, once the alias points to where its last entry says.

    Whoever comes here completes a promotion that was interrupted between its entry and the alias.

    :raises IntegrityError: when the alias was moved outside this pipeline, or the journal's end is gone.
    """
    return _settle(model_name, platform)[0]


def _settle(
    model_name: str, platform: Platform, moved_to: int | None = None
) -> tuple[list[PromotionRecord], list[str]]:
    """Let the alias and the registry's note of the last entry follow the journal, and return entries and digests.

    Somebody may append in the meantime, so it is looked at again after every move. The journal is read before the
    registry: what points beyond its end then shows that it grew.

    :param moved_to: where this process has moved the alias after somebody else's entry.
    """
    n_entries, looks = -1, 0
    while True:
        journal, digests = read_entries(model_name, storage=platform.storage)
        settled = is_settled(model_name, journal, storage=platform.storage)
        alias, known = platform.mlflow.get_pointers(model_name)
        champion = champion_of(journal)
        try:
            if moved_to is not None and alias == moved_to != champion:
                target = champion  # this very move came after somebody else's entry
            else:
                target = needs_alias(model_name, journal, alias, is_settled=settled)
            check_known_entries(model_name, digests, known)
        except IntegrityError:
            looks = looks + 1 if len(journal) == n_entries else 1
            if looks == _LOOKS:
                raise
            n_entries = len(journal)
            time.sleep(_PAUSE_S)
            continue
        if not journal or (target is None and settled and known == name_last_entry(digests)):
            return journal, digests
        if _follow(model_name, digests, target, platform):
            return journal, digests
        moved_to = target


def _follow(model_name: str, digests: list[str], target: int | None, platform: Platform) -> bool:
    """Carry out what the last entry says.

    :param target: where the alias has to be moved to; ``None``: it is there.
    :returns: ``False`` when somebody has appended in the meantime: this may have come after what they did.
    """
    if target is not None:
        platform.mlflow.set_alias(model_name, target)
    platform.mlflow.set_last_entry(model_name, name_last_entry(digests))
    log_of_model = _log(model_name, platform.storage)
    if len(log_of_model) > len(digests):
        return False
    log_of_model.settle(len(digests))
    return True


def _log(model_name: str, storage: Storage) -> AppendOnlyLog:
    return storage.log("journals", folder_name(model_name))
