from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from airflow_mlops.core.reason import Reason, as_reasons

REASONS = TypeAdapter(Reason)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text()


@given(scalars, st.dictionaries(st.text(min_size=1), scalars | st.lists(scalars)))
def test_a_reason_survives_the_way_through_json_whatever_numbers_it_has(observed: Any, facts: dict[str, Any]):
    reason = Reason(stage="gate", rule="r", observed=observed, facts=facts)
    again = REASONS.validate_python(json.loads(json.dumps(REASONS.dump_python(reason), allow_nan=False)))
    assert repr(again) == repr(reason)  # NaN is not equal to itself


@pytest.mark.parametrize(("number", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_a_number_that_json_has_no_word_for_can_not_be_taken_for_a_text(number: float, text: str):
    document = REASONS.dump_python(Reason(stage="gate", rule="r", observed=number))
    assert document["observed"] == {"float": text}
    assert REASONS.dump_python(Reason(stage="gate", rule="r", observed=text))["observed"] == text


def test_a_sentence_of_an_older_document_is_quoted_and_a_reason_stays():
    reason = dataclasses.asdict(Reason(stage="gate", rule="r", observed=1))
    quoted = {"stage": "gate", "rule": "recorded", "recorded": "It is worse."}
    assert as_reasons(["It is worse.", reason], stage="gate") == [quoted, reason]


@pytest.mark.parametrize("damaged", [None, "It is worse.", {"0": "It is worse."}])
def test_what_is_no_list_of_reasons_is_left_to_whoever_checks_the_types(damaged: object):
    assert as_reasons(damaged, stage="gate") is damaged


def test_a_fact_that_is_named_float_and_is_a_text_is_read_back_as_it_was():
    reason = Reason(stage="s", rule="r", facts={"kwargs": {"float": "abc"}})
    adapter = TypeAdapter(Reason)
    assert adapter.validate_json(adapter.dump_json(reason)) == reason
