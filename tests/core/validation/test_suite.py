from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.validation.suite import MAX_DOMAIN, Tolerances, propose_suite

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53).map(float)
numeric = st.lists(st.none() | st.just(math.nan) | numbers, min_size=1, max_size=30)
texts = st.lists(st.none() | st.text(max_size=8), min_size=1, max_size=80)
shares = st.sampled_from([0.0, 0.01, 0.5])
tolerances = st.builds(
    Tolerances,
    range_fraction=shares,
    missing_fraction=shares,
    new_category_fraction=shares,
    size_factor=st.sampled_from([1.0, 1.5, 10.0]),
)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _profile(values: Sequence[Any], name: str = "c") -> ColumnProfile:
    """Count values as a scan does."""
    present = [value for value in values if not _is_missing(value)]
    missing = {"null": sum(value is None for value in values)}
    if any(isinstance(value, float) for value in values):
        missing["nan"] = len(values) - len(present) - missing["null"]
        counts = {"all": len(present), **missing}
        low, high = min(present, default=None), max(present, default=None)
        edges = (0.0, 1.0)
        return ColumnProfile(
            name=name, edges=edges, counts=counts, minimum=low, maximum=high, n_distinct=len(set(present))
        )
    found = {f"={value}": present.count(value) for value in dict.fromkeys(present)}
    frequent = dict(list(found.items())[:60])
    counts = {**frequent, **missing} | (
        {OTHER: sum(found.values()) - sum(frequent.values())} if len(found) > 60 else {}
    )
    lengths = [len(value) for value in present]
    return ColumnProfile(
        name=name,
        counts=counts,
        n_distinct=len(set(present)),
        min_length=min(lengths, default=None),
        max_length=max(lengths, default=None),
    )


def _suite(values: Sequence[Any], allowed: Tolerances | None = None, kind: str = "double") -> list[dict[str, Any]]:
    column = Column(name="c", type=kind, n_null=sum(value is None for value in values))
    snapshot = DatasetSnapshot(
        dataset="d",
        uri="/d",
        digest="sha256:0",
        n_rows=len(values),
        columns=(column,),
        source={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="ada",
    )
    profile = DatasetProfile(snapshot_digest="sha256:0", n_rows=len(values), columns=(_profile(values),))
    suite = propose_suite(snapshot, profile, allowed)
    assert suite == json.loads(json.dumps(suite, allow_nan=False))
    assert suite["meta"] == {"inferred_from": "sha256:0"}
    found: list[dict[str, Any]] = suite["expectations"]
    return found


def _share_that_holds(entry: dict[str, Any], values: Sequence[Any]) -> float:
    """Return for how many of the values that it is about a rule holds."""
    kwargs, rule = entry["kwargs"], entry["type"]
    if rule == "expect_column_values_to_not_be_null":
        return sum(not _is_missing(value) for value in values) / len(values)
    present = [value for value in values if not _is_missing(value)]
    low = -math.inf if kwargs.get("min_value") is None else kwargs["min_value"]
    high = math.inf if kwargs.get("max_value") is None else kwargs["max_value"]
    holds = {
        "expect_column_values_to_be_between": lambda value: low <= value <= high,
        "expect_column_value_lengths_to_be_between": lambda value: low <= len(value) <= high,
        "expect_column_values_to_be_in_set": lambda value: value in kwargs["value_set"],
        "expect_column_values_to_be_of_type": lambda _: True,
        "expect_column_values_to_be_in_type_list": lambda _: True,
        "expect_column_values_to_be_unique": lambda _: True,  # a guess, which is made good on the rows
    }[rule]
    return sum(map(holds, present)) / len(present) if present else 1.0


def _is_met(entry: dict[str, Any], values: Sequence[Any]) -> bool:
    if entry["type"] == "expect_table_row_count_to_be_between":
        return bool(entry["kwargs"]["min_value"] <= len(values) <= entry["kwargs"]["max_value"])
    if entry["type"] == "expect_table_columns_to_match_set":
        return bool(entry["kwargs"]["column_set"] == ["c"])
    return _share_that_holds(entry, values) >= entry["kwargs"].get("mostly", 1)


@given(numeric, tolerances)
def test_numbers_meet_the_rules_that_are_proposed_for_them_and_the_suite_is_json(values, allowed):
    assert [entry for entry in _suite(values, allowed) if not _is_met(entry, values)] == []


@given(texts, tolerances)
def test_texts_meet_the_rules_that_are_proposed_for_them(values, allowed):
    assert [entry for entry in _suite(values, allowed, "string") if not _is_met(entry, values)] == []


@given(st.lists(st.floats(-1e300, 1e300) | st.integers(-(2**53), 2**53).map(float), min_size=2, unique=True))
def test_bounds_are_written_with_three_digits_and_never_cut_the_range(values):
    (between,) = [
        entry["kwargs"]
        for entry in _suite([*values, values[0]], Tolerances(range_fraction=0))
        if entry["type"] == "expect_column_values_to_be_between"
    ]
    low, high = between["min_value"], between["max_value"]
    assert low <= min(values)
    assert high >= max(values)
    for bound in (low, high):
        assert bound == 0 or float(f"{bound:.2e}") == bound


def _by_type(values: Sequence[Any], kind: str = "double") -> dict[str, dict[str, Any]]:
    return {entry["type"]: entry["kwargs"] for entry in _suite(values, kind=kind)}


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([1.0, 3.0, 3.0], (0, 4)),
        ([-3.0, -1.0, -1.0], (-4, 0)),
        ([-1.0, 1.0, 1.0], (-2, 2)),
        ([5.0, 5.0], (2.5, 7.5)),
        ([0.0, 0.0], (0, 0.5)),
        ([0.0, 1e-320], (0, 1.5e-320)),
        ([12345.0, 67890.0], (0, 95700)),
        ([-1.7e308, 1.7e308], None),
    ],
)
def test_a_range_is_widened_by_half_but_not_across_zero(values, bounds):
    found = _by_type([*values, None]).get("expect_column_values_to_be_between")
    assert (found and (found["min_value"], found["max_value"])) == bounds


def test_a_text_with_few_values_has_a_domain_and_one_with_many_only_a_length():
    few = _by_type(["a", "bb", "a", "bb"], "string")
    assert few["expect_column_values_to_be_in_set"] == {"column": "c", "value_set": ["a", "bb"], "mostly": 0.95}
    many = _by_type([f"{number:03}" for number in range(MAX_DOMAIN + 1)] * 2, "string")
    assert "expect_column_values_to_be_in_set" not in many
    assert many["expect_column_value_lengths_to_be_between"] == {"column": "c", "min_value": 1, "max_value": 5}


def test_a_column_without_missing_values_may_have_none_and_one_with_some_a_few_more():
    assert "mostly" not in _by_type([1.0, 2.0])["expect_column_values_to_not_be_null"]
    assert _by_type([1.0, None, math.nan, 2.0])["expect_column_values_to_not_be_null"]["mostly"] == 0.45
    assert "expect_column_values_to_not_be_null" not in _by_type([None, math.nan])
