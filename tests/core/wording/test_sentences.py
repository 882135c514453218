from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import sentence_of, sentences_of
from tests.core.cases import recorded


def test_the_sentence_of_an_older_document_is_quoted_as_it_was_recorded():
    assert sentences_of(recorded("It is worse.", "It is slow.")) == ("It is worse.", "It is slow.")


def test_a_reason_that_a_decision_repeats_says_where_it_is_from():
    (reason,) = recorded("x moved.", stage="retraining")
    repeated = sentence_of(replace(reason, source="performance"))
    assert repeated.endswith("x moved.")
    assert len(repeated) > len("x moved.")


def test_a_stage_that_nobody_has_words_for_is_an_error_and_not_silence():
    with pytest.raises(KeyError, match="nowhere"):
        sentence_of(Reason(stage="nowhere", rule="r"))
