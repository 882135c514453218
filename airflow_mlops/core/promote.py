"""Who serves: the journal's entries, and the pure decisions about the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from airflow_mlops.core.values import Value
from airflow_mlops.errors import IntegrityError, PromotionConflictError

__all__ = [
    "CARD_TAG",
    "CHAMPION",
    "ModelVersion",
    "PromotionRecord",
    "champion_of",
    "needs_alias",
    "plan_promotion",
    "plan_rollback",
    "unhealthy_versions",
]

CHAMPION = "champion"
CARD_TAG = "mlops.card"
"""The tag of a version that says where its card lies, below the storage root."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion(Value):
    """A version in the registry, with what it can be traced by.

    :param report_uri: its model card, below the storage root; empty where there is none.
    """

    model_name: str
    model_version: int
    model_digest: str
    run_id: str
    snapshot_digest: str
    evidence_digest: str
    tags: dict[str, str] = field(default_factory=dict)
    url: str = ""
    report_uri: str = ""


@dataclass(frozen=True, kw_only=True)
class PromotionRecord(Value):
    """An entry of a model's journal. The last one says which version serves.

    :param sequence: 1, 2, 3 … without gaps.
    :param previous_digest: of the entry before, so that a changed entry shows.
    :param key: the identity of the step that wrote it; a retry finds its own entry by it.
    """

    sequence: int
    action: Literal["promote", "rollback"]
    model_name: str
    from_version: int | None
    to_version: int
    reason: str
    actor: str
    run_id: str
    at: datetime
    key: str
    evidence_digest: str = ""
    previous_digest: str = ""


def champion_of(journal: Sequence[PromotionRecord]) -> int | None:
    """Return the version that the journal says serves, ``None`` before the first promotion."""
    return journal[-1].to_version if journal else None


def unhealthy_versions(journal: Sequence[PromotionRecord]) -> frozenset[int]:
    """Return the versions that were rolled back from. None of them returns by itself."""
    return frozenset(e.from_version for e in journal if e.action == "rollback" and e.from_version is not None)


def needs_alias(
    model_name: str, journal: Sequence[PromotionRecord], alias_version: int | None, *, is_settled: bool
) -> int | None:
    """Compare the alias with the journal.

    :param alias_version: where the registry's alias points to.
    :param is_settled: whether the alias is known to have followed the last entry. Until then, an alias that
        still points to where that entry came from says that the promotion was interrupted.
    :returns: the version that the alias has still to be moved to, ``None`` when they agree.
    :raises IntegrityError: when somebody else moved the alias, or the journal is not there.
    """
    champion = champion_of(journal)
    if alias_version == champion:
        return None
    if champion is None:
        raise IntegrityError(
            f"{model_name}: the alias {CHAMPION!r} points to version {alias_version}, but the storage has no journal "
            f"that says so. Nothing was changed. Is [mlops] storage_root the one that it was? If the alias was set by "
            f"other means, remove it; the pipeline then starts with a first version of its own."
        )
    if not is_settled and alias_version == journal[-1].from_version:
        return champion
    raise IntegrityError(
        f"{model_name}: the alias {CHAMPION!r} points to "
        f"{'nothing' if alias_version is None else f'version {alias_version}'}, but the journal says that version "
        f"{champion} serves (entry {journal[-1].sequence}). It was moved outside this pipeline; nothing was changed. "
        f"Point the alias back to version {champion}; to go back to another version, run the rollback."
    )


def plan_promotion(
    *,
    model_name: str,
    journal: Sequence[PromotionRecord],
    expected: int | None,
    to_version: int,
) -> None:
    """Decide whether a version may become champion.

    :param expected: the champion that the evaluation compared with; ``None`` for a cold start.
    :raises PromotionConflictError: when it is another one now, or the version was rolled back from.
    """
    champion = champion_of(journal)
    if champion != expected:
        raise PromotionConflictError(
            f"{model_name} v{to_version} not promoted: it was evaluated against "
            f"{_named(expected)}, but {_named(champion)} is champion now. Nothing was changed. "
            f"Run the pipeline again to compare with the present champion."
        )
    if to_version in unhealthy_versions(journal):
        raise PromotionConflictError(
            f"{model_name} v{to_version} not promoted: it was rolled back before. Nothing was changed. "
            f"Train a new version."
        )


def plan_rollback(
    *,
    model_name: str,
    journal: Sequence[PromotionRecord],
    from_version: int | None = None,
    to_version: int | None = None,
) -> int:
    """Decide which version a rollback returns to.

    :param from_version: the champion that is to go; by default whichever it is.
    :param to_version: a version that was champion before; by default the last healthy one.
    :raises PromotionConflictError: when there is none to go back to, or another version is champion.
    """
    champion = champion_of(journal)
    if from_version is not None and from_version != champion:
        raise PromotionConflictError(
            f"{model_name} not rolled back: version {from_version} was to go, but {_named(champion)} is champion. "
            f"Nothing was changed. Look again, and name the version that is champion now."
        )
    served = [v for entry in journal for v in (entry.from_version, entry.to_version) if v is not None]
    bad = unhealthy_versions(journal)
    if to_version is not None:
        if to_version not in served or to_version == champion:
            raise PromotionConflictError(
                f"{model_name} not rolled back: version {to_version} "
                f"{'is champion already' if to_version == champion else 'was never champion'}. "
                f"Versions that were: {sorted(set(served) - {champion})}. Nothing was changed."
            )
        return to_version
    healthy = [version for version in served if version != champion and version not in bad]
    if not healthy:
        raise PromotionConflictError(
            f"{model_name} not rolled back: no healthy version was champion before {_named(champion)} "
            f"(rolled back from: {sorted(bad) or 'none'}). Nothing was changed. "
            f"Name one with to_version if you know better."
        )
    return healthy[-1]


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
