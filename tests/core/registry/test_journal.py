from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.registry.journal import (
    PromotionRecord,
    champion_of,
    check_known_entries,
    name_last_entry,
    needs_alias,
    plan_mark,
    plan_promotion,
    plan_rollback,
    unhealthy_versions,
)
from airflow_mlops.core.values import digest_of
from airflow_mlops.errors import IntegrityError, PromotionConflictError
from tests.core.cases import recorded


def _journal(*moves: tuple[str, int | None, int]) -> list[PromotionRecord]:
    return [
        PromotionRecord(
            sequence=number,
            action=action,
            model_name="churn",
            from_version=before,
            to_version=after,
            reason="",
            actor="ada",
            run_id="r",
            at=datetime(2026, 1, number, tzinfo=UTC),
            key=str(number),
        )
        for number, (action, before, after) in enumerate(moves, start=1)
    ]


THREE = _journal(("promote", None, 1), ("promote", 1, 2), ("promote", 2, 3))
BACK_TO_2 = [*THREE, *_journal(("rollback", 3, 2))]


def test_nobody_serves_while_there_is_neither_journal_nor_alias():
    assert champion_of([]) is None


def test_the_last_entry_says_who_serves():
    assert champion_of(THREE) == 3
    assert champion_of(BACK_TO_2) == 2


@pytest.mark.parametrize("is_settled", [True, False])
def test_an_alias_without_a_journal_is_no_cold_start(is_settled):
    with pytest.raises(IntegrityError, match="points to version 7, but the storage has no journal") as caught:
        needs_alias("churn", [], 7, is_settled=is_settled)
    assert "storage_root" in str(caught.value)


def test_a_rollback_that_was_settled_by_hand_in_the_registry_is_not_undone():
    with pytest.raises(IntegrityError, match="points to version 2, but the journal says that version 3 serves"):
        needs_alias("churn", THREE, 2, is_settled=True)


def test_the_versions_that_were_rolled_back_from_are_unhealthy():
    assert unhealthy_versions(THREE) == frozenset()
    assert unhealthy_versions(BACK_TO_2) == {3}


def test_the_alias_is_left_alone_when_it_agrees_with_the_journal():
    assert needs_alias("churn", THREE, 3, is_settled=True) is None
    assert needs_alias("churn", THREE, 3, is_settled=False) is None
    assert needs_alias("churn", [], None, is_settled=False) is None


def test_an_alias_that_an_interrupted_promotion_left_behind_has_to_be_moved():
    assert needs_alias("churn", THREE, 2, is_settled=False) == 3
    assert needs_alias("churn", BACK_TO_2, 3, is_settled=False) == 2
    assert needs_alias("churn", _journal(("promote", None, 1)), None, is_settled=False) == 1


@pytest.mark.parametrize(("alias", "named"), [(1, "version 1"), (9, "version 9"), (None, "nothing")])
def test_an_alias_that_somebody_moved_by_hand_is_an_error_and_not_overwritten(alias, named):
    with pytest.raises(IntegrityError) as caught:
        needs_alias("churn", THREE, alias, is_settled=False)
    message = str(caught.value)
    assert f"churn: the alias 'champion' points to {named}" in message
    assert "version 3 serves (entry 3)" in message
    assert "nothing was changed" in message


def test_a_promotion_over_the_champion_that_was_evaluated_against_is_allowed():
    plan_promotion(model_name="churn", journal=THREE, expected=3, to_version=4)
    plan_promotion(model_name="churn", journal=[], expected=None, to_version=1)


@pytest.mark.parametrize(
    ("journal", "expected", "words"),
    [
        (THREE, 2, "evaluated against version 2, but version 3 is champion now"),
        (THREE, None, "evaluated against no version, but version 3 is champion now"),
        ([], 2, "evaluated against version 2, but no version is champion now"),
    ],
)
def test_a_champion_that_changed_since_the_evaluation_refuses_the_promotion(journal, expected, words):
    with pytest.raises(PromotionConflictError, match=f"churn v4 not promoted: it was {words}. Nothing was changed"):
        plan_promotion(model_name="churn", journal=journal, expected=expected, to_version=4)


def test_the_champion_is_not_promoted_once_more():
    with pytest.raises(PromotionConflictError, match="churn v3 not promoted: it is champion already"):
        plan_promotion(model_name="churn", journal=THREE, expected=3, to_version=3)


def test_a_version_that_was_rolled_back_never_returns_by_itself():
    with pytest.raises(PromotionConflictError, match="churn v3 not promoted: it was rolled back before"):
        plan_promotion(model_name="churn", journal=BACK_TO_2, expected=2, to_version=3)


def test_a_rollback_goes_to_the_version_before():
    assert plan_rollback(model_name="churn", journal=THREE) == 2


def test_a_second_rollback_goes_on_to_the_one_before_and_not_back_to_the_bad_one():
    assert plan_rollback(model_name="churn", journal=BACK_TO_2) == 1


def test_a_rollback_after_a_new_promotion_goes_over_the_bad_version_to_the_healthy_one():
    journal = [*BACK_TO_2, *_journal(("promote", 2, 4))]
    assert plan_rollback(model_name="churn", journal=journal) == 2


def test_a_rollback_of_another_version_than_the_champion_is_refused():
    assert plan_rollback(model_name="churn", journal=THREE, from_version=3) == 2
    with pytest.raises(PromotionConflictError, match="version 2 was to go, but version 3 is champion"):
        plan_rollback(model_name="churn", journal=THREE, from_version=2)


def test_a_rollback_to_a_named_version_that_served_is_allowed_even_when_it_was_bad():
    assert plan_rollback(model_name="churn", journal=THREE, to_version=1) == 1
    assert plan_rollback(model_name="churn", journal=BACK_TO_2, to_version=3) == 3


def test_a_rollback_to_the_champion_is_refused_with_the_versions_that_it_may_go_to():
    with pytest.raises(PromotionConflictError, match=r"version 3 is champion already\. Versions that were: \[1, 2\]; "):
        plan_rollback(model_name="churn", journal=THREE, to_version=3)


def test_a_rollback_to_a_version_that_never_served_is_refused():
    words = r"version 9 was never champion\. Versions that were: \[1, 2\]; version 3 is it now\. Nothing"
    with pytest.raises(PromotionConflictError, match=words):
        plan_rollback(model_name="churn", journal=THREE, to_version=9)


@pytest.mark.parametrize(
    ("journal", "champion", "bad"),
    [
        ([], "no version", "none"),
        (_journal(("promote", None, 1)), "version 1", "none"),
        (_journal(("promote", None, 1), ("promote", 1, 2), ("rollback", 2, 1)), "version 1", r"\[2\]"),
    ],
)
def test_a_rollback_with_no_healthy_version_left_is_refused(journal, champion, bad):
    with pytest.raises(PromotionConflictError, match=rf"before {champion} \(unhealthy: {bad}\)"):
        plan_rollback(model_name="churn", journal=journal)


MARKED_1 = [*THREE, *_journal(("mark_unhealthy", 1, 3))]
MARKED_CHAMPION = [*THREE, *_journal(("mark_unhealthy", 3, 3))]


def test_a_mark_moves_nothing_and_makes_a_version_unhealthy():
    assert plan_mark(model_name="churn", journal=THREE, model_version=1) == 3
    assert (champion_of(MARKED_1), unhealthy_versions(MARKED_1)) == (3, {1})
    assert (champion_of(MARKED_CHAMPION), unhealthy_versions(MARKED_CHAMPION)) == (3, {3})
    assert [str(entry) for entry in (*THREE[:2], MARKED_1[-1])] == [
        "nothing -> v1",
        "v1 -> v2",
        "v1 is unhealthy, v3 serves",
    ]


def test_a_version_that_is_marked_does_not_return_and_is_not_promoted():
    marked_2 = [*THREE, *_journal(("mark_unhealthy", 2, 3))]
    assert plan_rollback(model_name="churn", journal=marked_2) == 1
    assert plan_rollback(model_name="churn", journal=marked_2, to_version=2) == 2
    with pytest.raises(PromotionConflictError, match=r"churn v2 not promoted: it is marked as unhealthy \(entry 1: \)"):
        plan_promotion(model_name="churn", journal=marked_2, expected=3, to_version=2)


def test_a_version_that_was_only_marked_was_never_champion():
    marked_9 = [*THREE, *_journal(("mark_unhealthy", 9, 3))]
    with pytest.raises(PromotionConflictError, match="version 9 was never champion"):
        plan_rollback(model_name="churn", journal=marked_9, to_version=9)


def test_a_mark_that_says_nothing_new_or_has_no_journal_is_refused():
    with pytest.raises(PromotionConflictError, match=r"churn v3 not marked: it was rolled back before \(entry 1"):
        plan_mark(model_name="churn", journal=BACK_TO_2, model_version=3)
    with pytest.raises(PromotionConflictError, match="no version was promoted yet"):
        plan_mark(model_name="churn", journal=[], model_version=1)


def test_an_alias_that_was_moved_to_the_version_that_is_marked_is_not_taken_for_an_interrupted_move():
    with pytest.raises(IntegrityError, match="points to version 1, but the journal says that version 3 serves"):
        needs_alias("churn", MARKED_1, 1, is_settled=False)


DIGESTS = ["sha256:a", "sha256:b", "sha256:c"]


@pytest.mark.parametrize("n_known", [0, 1, 2, 3])
def test_a_journal_that_has_all_entries_that_are_known_is_whole(n_known):
    check_known_entries("churn", DIGESTS, name_last_entry(DIGESTS[:n_known]))


@pytest.mark.parametrize(
    "known", [name_last_entry([*DIGESTS, "sha256:d"]), "3 sha256:x", "0 sha256:a", "three", "-1 x"]
)
def test_a_journal_whose_end_is_gone_or_changed_is_noticed(known):
    with pytest.raises(IntegrityError, match=r"the journal has 3 entries, but MLflow knows of entry .*Restore it"):
        check_known_entries("churn", DIGESTS, known)


@given(st.lists(st.booleans(), max_size=20))
def test_whatever_happens_a_rollback_never_returns_to_a_version_that_was_rolled_back(is_promotion):
    journal: list[PromotionRecord] = []
    version = 0
    for promotes in is_promotion:
        champion = champion_of(journal)
        if promotes:
            version += 1
            plan_promotion(model_name="churn", journal=journal, expected=champion, to_version=version)
            journal += _journal(("promote", champion, version))
            continue
        bad = unhealthy_versions(journal)
        try:
            target = plan_rollback(model_name="churn", journal=journal)
        except PromotionConflictError:
            assert not set(range(1, version + 1)) - bad - {champion}
            continue
        assert target not in bad
        assert target == max(set(range(1, version + 1)) - bad - {champion})
        journal += _journal(("rollback", champion, target))


def test_an_entry_tells_what_people_said_and_then_what_the_gate_found():
    (entry,) = _journal(("promote", None, 1))
    decided = dataclasses.replace(
        entry, reason="Approved by ada: fine\nv1 as canary: HEALTHY.", reasons=recorded("Passed.")
    )
    assert decided.why == ("Approved by ada: fine", "v1 as canary: HEALTHY.", "Passed.")
    assert entry.why == ()


def test_an_entry_of_version_1_tells_all_of_its_reason_and_keeps_its_digest():
    (entry,) = _journal(("promote", None, 1))
    old = {**entry.to_dict(), "schema_version": 1, "reason": "Passed: it is good.\nPassed: it is fair."}
    del old["reasons"]
    read = PromotionRecord.from_dict(old)
    assert (read.why, read.reasons) == (("Passed: it is good.", "Passed: it is fair."), ())
    assert read.content_digest == digest_of(old)
