from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import packaging, sentence_of, sentences_of, splitting, validation
from tests.core.cases import recorded


def test_the_sentence_of_an_older_document_is_quoted_as_it_was_recorded():
    assert sentences_of(recorded("It is worse.", "It is slow.")) == ("It is worse.", "It is slow.")


def test_a_reason_that_a_decision_repeats_says_where_it_is_from():
    (reason,) = recorded("x moved.", stage="retraining")
    repeated = sentence_of(replace(reason, source="performance"))
    assert repeated.endswith("x moved.")
    assert len(repeated) > len("x moved.")


@pytest.mark.parametrize(
    "stage", ["gate", "packaging", "validation", "monitoring", "retraining", "rollout", "splitting", "nowhere"]
)
def test_a_reason_that_nobody_has_words_for_is_said_in_its_numbers_and_not_an_error(stage):
    unknown = Reason(stage=stage, rule="of_a_newer_version", verdict="REJECTED", subject="x", observed=0.5, n=7)
    sentence = sentence_of(unknown)
    for each in (f"{stage}.of_a_newer_version", "REJECTED", "x", "observed 0.5", "n 7"):
        assert each in sentence


def test_a_reason_that_lost_its_facts_hides_no_other():
    damaged = Reason(stage="monitoring", rule="column", subject="x")
    assert sentences_of((damaged, *recorded("It is slow.")))[1] == "It is slow."


def test_a_reason_from_a_stage_that_is_not_known_says_its_name():
    (reason,) = recorded("x moved.", stage="retraining")
    assert sentence_of(replace(reason, source="a_newer_stage")) == "a_newer_stage: x moved."


@pytest.mark.parametrize("stage", [packaging, splitting, validation])
def test_a_cell_of_a_finding_that_is_not_known_has_its_numbers(stage):
    found, expected = stage.found_and_expected(Reason(stage="s", rule="of_a_newer_version", observed=3))
    assert "of_a_newer_version: observed 3" in found
    assert expected == "not known"
