"""Approval: a person's answer, and what it was an answer to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_mlops.core.gate.rules import Blessing
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.values import Value
from airflow_mlops.errors import NotBlessedError, PromotionConflictError

__all__ = ["Approval", "ApprovalRequest", "require_approval"]


@dataclass(frozen=True)
class ApprovalRequest:
    """What a person is asked.

    :param subject: one line.
    :param body: the evidence, as Markdown.
    """

    subject: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Approval(Value):
    """A person's answer, as the ledger keeps it. It holds for what the person saw, and for nothing else.

    :param blessing_digest: of the gate's verdict that was shown, which has the evidence's digest in it.
    :param champion_version: the champion that was to be replaced.
    :param by: who answered; empty when nobody did in time.
    :param key: the identity of the step that asked; a retry finds its answer by it.
    """

    model_name: str
    model_version: int
    blessing_digest: str
    champion_version: int | None
    is_approved: bool
    by: str
    note: str = ""
    run_id: str
    at: datetime
    key: str

    @property
    def verdict(self) -> str:
        """The answer, in a word."""
        return "APPROVED" if self.is_approved else "DECLINED"

    def __str__(self) -> str:
        who = f"by {self.by}" if self.by else "because nobody answered in time"
        return f"{'Approved' if self.is_approved else 'Declined'} {who}{f': {self.note}' if self.note else '.'}"


def require_approval(
    approval: Approval | None, *, version: ModelVersion, blessing: Blessing, is_required: bool
) -> Approval | None:
    """Return the approval that a promotion goes by; ``None`` where the gate's blessing is enough.

    :param is_required: whether a person must approve what the gate has blessed, too.
    :raises NotBlessedError: when nobody approved what a person has to decide, or somebody declined it.
    :raises PromotionConflictError: when the approval was given to something else.
    """
    name = f"{version.model_name} v{version.model_version}"
    if not (blessing.is_blessed or blessing.asks_a_person):
        raise NotBlessedError(f"{name} not promoted: the gate says {blessing.verdict}. {blessing}")
    if approval is None:
        if blessing.is_blessed and not is_required:
            return None
        why = "promotion.approval asks for a person" if blessing.is_blessed else f"the gate says {blessing.verdict}"
        raise NotBlessedError(f"{name} not promoted: {why}, and nobody approved. The champion stays.")
    if not approval.is_approved:
        raise NotBlessedError(f"{name} not promoted. {approval} The champion stays.")
    if (approval.model_version, approval.blessing_digest) != (version.model_version, blessing.content_digest):
        raise PromotionConflictError(
            f"{name} not promoted: the approval is void. {approval.by} approved v{approval.model_version}, by other "
            f"evidence than there is now. Nothing was changed. Clear the task of the approval to ask again."
        )
    return approval
