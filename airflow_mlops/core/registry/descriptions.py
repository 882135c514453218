"""What others are told of a model in the registry: a version's description, and that the champion changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from airflow_mlops.core.registry.journal import CHAMPION
from airflow_mlops.core.values import Value

__all__ = ["ChampionChange", "describe_version", "is_awaited"]

_LINEAGE = {
    "Model files": "mlops.model_digest",
    "Snapshot": "mlops.snapshot_digest",
    "Split": "mlops.split_digest",
    "Data, code and parameters": "mlops.fingerprint",
    "Evidence": "mlops.evidence_digest",
    "Training record": "mlops.record_digest",
}


@dataclass(frozen=True, kw_only=True)
class ChampionChange(Value):
    """What an event of the asset ``mlmodel://name`` carries: ``ChampionChange.from_dict(event.extra)``.

    :param sequence: of the journal's entry; an event that comes twice has the same.
    :param from_version: who served before; ``None``: nobody.
    :param metrics: of the version on the held-out rows of its evaluation.
    """

    model_name: str
    model_version: int
    from_version: int | None
    action: Literal["promote", "rollback"]
    reason: str
    sequence: int
    model_digest: str
    evidence_digest: str
    metrics: dict[str, float] = field(default_factory=dict)
    alias: str = CHAMPION


def describe_version(reasons: Sequence[str], *, run_id: str, tags: Mapping[str, str], card: str = "") -> str:
    """Return the description of a version, as Markdown: why it may serve, and what it was made of.

    :param run_id: the MLflow run that trained it.
    :param tags: the version's.
    :param card: where its card is, as Markdown; empty where it has none yet.

    >>> print(describe_version(["Better."], run_id="9f", tags={"mlops.split_digest": "sha256:1"}))
    - Better.
    <BLANKLINE>
    Trained by run 9f
    <BLANKLINE>
    - Split: sha256:1
    """
    lineage = [f"- {name}: {tags[tag]}" for name, tag in _LINEAGE.items() if tag in tags]
    parts = ("\n".join(f"- {reason}" for reason in reasons), f"Trained by run {run_id}", "\n".join(lineage), card)
    return "\n\n".join(part for part in parts if part)


def is_awaited(champion: int | None, *, other_than: int | None = None, at_least: int | None = None) -> bool:
    """Decide whether the champion is one that somebody waits for.

    :param champion: who serves; ``None``: nobody, and nobody waits for that.
    :param other_than: a version that it must not be.
    :param at_least: the lowest version that it may be.

    >>> is_awaited(3, other_than=3), is_awaited(2, other_than=3), is_awaited(2, at_least=3), is_awaited(2)
    (False, True, False, True)
    """
    return champion is not None and champion != other_than and champion >= (at_least or 0)
