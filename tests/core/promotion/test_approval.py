from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict
from airflow_mlops.core.promotion.approval import Approval, require_approval
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.errors import NotBlessedError, PromotionConflictError
from tests.core.cases import recorded
from tests.core.test_values import AT

VERSION = ModelVersion(
    model_name="m", model_version=3, model_digest="sha256:1", run_id="r", snapshot_digest="", evidence_digest=""
)
BLESSED = Blessing(
    model_name="m",
    verdict=BlessingVerdict.BLESSED,
    reasons=recorded("Passed: all."),
    model_digest="sha256:1",
    champion_version=2,
    evidence_digest="sha256:2",
)
UNDECIDED = replace(BLESSED, verdict=BlessingVerdict.INCONCLUSIVE, asks_a_person=True)


def answer(blessing: Blessing, **changes) -> Approval:
    approval = Approval(
        model_name="m",
        model_version=3,
        blessing_digest=blessing.content_digest,
        champion_version=2,
        is_approved=True,
        by="ada",
        run_id="r",
        at=AT,
        key="k",
    )
    return replace(approval, **changes)


def test_a_blessing_is_enough_unless_approval_is_required():
    assert require_approval(None, version=VERSION, blessing=BLESSED, is_required=False) is None
    with pytest.raises(NotBlessedError, match=r"m v3 not promoted: promotion\.approval asks for a person, and nobody"):
        require_approval(None, version=VERSION, blessing=BLESSED, is_required=True)


@pytest.mark.parametrize("is_required", [True, False])
def test_what_the_gate_could_not_decide_needs_an_approval_always(is_required: bool):
    with pytest.raises(NotBlessedError, match="the gate says INCONCLUSIVE, and nobody approved"):
        require_approval(None, version=VERSION, blessing=UNDECIDED, is_required=is_required)
    given = answer(UNDECIDED)
    assert require_approval(given, version=VERSION, blessing=UNDECIDED, is_required=is_required) is given


@pytest.mark.parametrize("verdict", [BlessingVerdict.REJECTED, BlessingVerdict.INCONCLUSIVE])
def test_no_approval_helps_what_is_rejected_or_what_nobody_was_to_be_asked_of(verdict: BlessingVerdict):
    over = replace(BLESSED, verdict=verdict)
    with pytest.raises(NotBlessedError, match=f"the gate says {verdict}"):
        require_approval(answer(over), version=VERSION, blessing=over, is_required=False)


def test_what_was_declined_is_not_promoted_even_if_the_gate_blessed_it():
    declined = answer(BLESSED, is_approved=False, note="not on a Friday")
    with pytest.raises(NotBlessedError, match="Declined by ada: not on a Friday The champion stays"):
        require_approval(declined, version=VERSION, blessing=BLESSED, is_required=False)


@pytest.mark.parametrize("change", [{"model_version": 2}, {"blessing_digest": "sha256:other"}])
def test_an_approval_of_something_else_is_void(change: dict[str, object]):
    with pytest.raises(PromotionConflictError, match="the approval is void"):
        require_approval(answer(BLESSED, **change), version=VERSION, blessing=BLESSED, is_required=True)


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({}, "APPROVED", "Approved by ada."),
        ({"note": "fine"}, "APPROVED", "Approved by ada: fine"),
        ({"is_approved": False, "by": ""}, "DECLINED", "Declined because nobody answered in time."),
    ],
)
def test_an_answer_says_what_it_is_and_whose(changes: dict[str, object], verdict: str, text: str):
    approval = answer(BLESSED, **changes)
    assert (approval.verdict, str(approval)) == (verdict, text)
