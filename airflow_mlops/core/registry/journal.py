"""Who serves: the journal's entries, and the pure decisions about the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError, PromotionConflictError

__all__ = [
    "CARD_TAG",
    "CHAMPION",
    "JOURNAL_TAG",
    "ModelVersion",
    "PromotionRecord",
    "champion_of",
    "check_known_entries",
    "name_last_entry",
    "name_version",
    "needs_alias",
    "plan_mark",
    "plan_promotion",
    "plan_rollback",
    "unhealthy_versions",
    "why_unhealthy",
]

CHAMPION = "champion"
CARD_TAG = "mlops.card"
"""The tag of a version that says where its card lies, below the storage root."""
JOURNAL_TAG = "mlops.journal"
"""The tag of a registered model that names the last entry of its journal, so that one that is gone is missed."""


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
    :param action: ``mark_unhealthy`` moves nothing: a version that served, or may, is known to be bad.
    :param from_version: who served before; of ``mark_unhealthy`` the version that is marked.
    :param to_version: who serves from then on.
    :param reason: why, by a person or by what was seen of it on live requests, a line each; empty where the gate alone
        decided.
    :param reasons: of the gate, of what a promotion was decided on.
    :param previous_digest: of the entry before, so that a changed entry shows.
    :param key: the identity of the step that wrote it; a retry finds its own entry by it.
    """

    schema_version = 2

    sequence: int
    action: Literal["promote", "rollback", "mark_unhealthy"]
    model_name: str
    from_version: int | None
    to_version: int
    reason: str
    reasons: tuple[Reason, ...] = ()
    actor: str
    run_id: str
    at: datetime
    key: str
    evidence_digest: str = ""
    previous_digest: str = ""

    @property
    def why(self) -> tuple[str, ...]:
        """All that it was decided on, in words."""
        return *self.reason.splitlines(), *sentences_of(self.reasons)

    def __str__(self) -> str:
        """Return the change in a few words."""
        if self.action == "mark_unhealthy":
            return f"v{self.from_version} is unhealthy, v{self.to_version} serves"
        return f"{'nothing' if self.from_version is None else f'v{self.from_version}'} -> v{self.to_version}"


def champion_of(journal: Sequence[PromotionRecord]) -> int | None:
    """Return the version that the journal says serves, ``None`` before the first promotion."""
    return journal[-1].to_version if journal else None


def unhealthy_versions(journal: Sequence[PromotionRecord]) -> frozenset[int]:
    """Return the versions that were rolled back from, or marked. None of them returns by itself."""
    return frozenset(e.from_version for e in journal if e.action != "promote" and e.from_version is not None)


def name_last_entry(digests: Sequence[str]) -> str:
    """Return what the registry is told of a journal: the number of its last entry and that entry's digest."""
    return f"{len(digests)} {digests[-1]}" if digests else ""


def name_version(version: int | None) -> str:
    """Return what a version is called within a sentence, also where there is none."""
    return "no version" if version is None else f"version {version}"


def check_known_entries(model_name: str, digests: Sequence[str], known: str) -> None:
    """Compare a journal with the last entry that the registry was told of.

    :param digests: of the entries, in order.
    :param known: what :func:`name_last_entry` gave once; empty where nobody told it yet.
    :raises IntegrityError: when that entry is gone, or is another one.
    """
    number, _, digest = known.partition(" ")
    if not known or (number.isdigit() and 0 < int(number) <= len(digests) and digests[int(number) - 1] == digest):
        return
    raise IntegrityError(
        f"{model_name}: the journal has {len(digests)} entries, but MLflow knows of entry {number} with digest "
        f"{digest[:19]}… (tag {JOURNAL_TAG}), which is not among them: the end of the journal was removed or changed. "
        f"Nothing was changed. Restore it from a backup, or see [mlops] journal_root. If there is none, remove the tag "
        f"from the registered model to go on without."
    )


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
    if not is_settled and alias_version == champion_of(journal[:-1]):
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
    :raises PromotionConflictError: when it is another one now, or the version is unhealthy, or champion already.
    """
    champion = champion_of(journal)
    if to_version == champion:
        raise PromotionConflictError(
            f"{model_name} v{to_version} not promoted: it is champion already. Nothing was changed."
        )
    if champion != expected:
        raise PromotionConflictError(
            f"{model_name} v{to_version} not promoted: it was evaluated against "
            f"{name_version(expected)}, but {name_version(champion)} is champion now. Nothing was changed. "
            f"Run the pipeline again to compare with the present champion."
        )
    if to_version in unhealthy_versions(journal):
        raise PromotionConflictError(
            f"{model_name} v{to_version} not promoted: it {why_unhealthy(journal, to_version)}. Nothing was changed. "
            f"Train a new version."
        )


def plan_mark(*, model_name: str, journal: Sequence[PromotionRecord], model_version: int) -> int:
    """Decide whether a version may be marked as unhealthy.

    :returns: the version that serves, which the mark does not change.
    :raises PromotionConflictError: when it is unhealthy already, or nothing was promoted yet.
    """
    champion = champion_of(journal)
    if champion is None:
        raise PromotionConflictError(
            f"{model_name} v{model_version} not marked: no version was promoted yet, so there is no journal to keep "
            f"the mark. Nothing was changed. Do not promote it."
        )
    if model_version in unhealthy_versions(journal):
        why = why_unhealthy(journal, model_version)
        raise PromotionConflictError(f"{model_name} v{model_version} not marked: it {why}. Nothing was changed.")
    return champion


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
            f"{model_name} not rolled back: version {from_version} was to go, but {name_version(champion)} is "
            f"champion. Nothing was changed. Look again, and name the version that is champion now."
        )
    served = [entry.to_version for entry in journal]
    bad = unhealthy_versions(journal)
    if to_version is not None:
        if to_version not in served or to_version == champion:
            raise PromotionConflictError(
                f"{model_name} not rolled back: version {to_version} "
                f"{'is champion already' if to_version == champion else 'was never champion'}. "
                f"Versions that were: {sorted(set(served) - {champion})}; {name_version(champion)} is it now. Nothing "
                f"was changed."
            )
        return to_version
    healthy = [version for version in served if version != champion and version not in bad]
    if not healthy:
        raise PromotionConflictError(
            f"{model_name} not rolled back: no healthy version was champion before {name_version(champion)} "
            f"(unhealthy: {sorted(bad) or 'none'}). Nothing was changed. "
            f"Name one with to_version if you know better."
        )
    return healthy[-1]


def why_unhealthy(journal: Sequence[PromotionRecord], version: int) -> str:
    """Return what was said of an unhealthy version."""
    entry = next(each for each in journal if each.action != "promote" and each.from_version == version)
    what = "was rolled back before" if entry.action == "rollback" else "is marked as unhealthy"
    return f"{what} (entry {entry.sequence}: {entry.reason})"
