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
from airflow_mlops.errors import SpecError

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


def _proposed(column: Column, profile: ColumnProfile | None, n_rows: int = 10) -> dict[str, dict[str, Any]]:
    """Return what is proposed for a column, by rule."""
    snapshot = DatasetSnapshot(
        dataset="d",
        uri="/d",
        digest="sha256:0",
        n_rows=n_rows,
        columns=(column,),
        source={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="ada",
    )
    profiles = DatasetProfile(snapshot_digest="sha256:0", n_rows=n_rows, columns=(profile,) if profile else ())
    expectations = propose_suite(snapshot, profiles)["expectations"]
    return {entry["type"]: entry["kwargs"] for entry in expectations if entry["kwargs"].get("column") == column.name}


@pytest.mark.parametrize("settings", [{"range_fraction": -0.1}, {"missing_fraction": math.nan}])
def test_a_tolerance_below_zero_is_none(settings: dict[str, float]):
    with pytest.raises(SpecError, match="A tolerance must be a number from 0 on"):
        Tolerances(**settings)


@pytest.mark.parametrize("factor", [0.9, math.inf])
def test_a_batch_can_not_be_asked_to_have_fewer_rows_than_itself_or_any_number(factor: float):
    with pytest.raises(SpecError, match="size_factor must be a number from 1 on, found"):
        Tolerances(size_factor=factor)


def test_of_a_column_that_was_not_profiled_the_type_alone_is_known():
    found = _proposed(Column(name="at", type="int64"), None)
    assert found == {"expect_column_values_to_be_of_type": {"column": "at", "type_": "int64"}}


def test_of_a_type_that_great_expectations_has_no_name_for_and_no_value_nothing_is_proposed():
    empty = ColumnProfile(name="at", counts={"null": 10})
    assert _proposed(Column(name="at", type="timestamp[us]"), empty) == {}


def test_a_moment_is_asked_for_and_no_more():
    profile = ColumnProfile(name="at", counts={"all": 10}, n_distinct=3)
    assert set(_proposed(Column(name="at", type="timestamp[us]"), profile)) == {"expect_column_values_to_not_be_null"}


@pytest.mark.parametrize("bounds", [(None, None), (-math.inf, 1.0), (0.0, math.inf)])
def test_numbers_of_which_the_range_is_not_known_may_be_any(bounds: tuple[float | None, float | None]):
    profile = ColumnProfile(
        name="x", edges=(0.0, 1.0), counts={"all": 10}, n_distinct=2, minimum=bounds[0], maximum=bounds[1]
    )
    assert "expect_column_values_to_be_between" not in _proposed(Column(name="x", type="float"), profile)


def test_a_column_whose_values_are_keys_has_to_have_different_ones_and_no_range():
    profile = ColumnProfile(name="id", edges=(1.0, 301.0), counts={"all": 300}, n_distinct=300, minimum=1, maximum=300)
    found = set(_proposed(Column(name="id", type="int64"), profile, 300))
    assert "expect_column_values_to_be_unique" in found
    assert "expect_column_values_to_be_between" not in found


def test_labels_that_are_no_texts_have_neither_a_domain_nor_a_length():
    profile = ColumnProfile(name="is_new", counts={"=true": 5, "=false": 5}, n_distinct=2)
    assert set(_proposed(Column(name="is_new", type="bool"), profile)) == {
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_not_be_null",
    }


def test_of_several_columns_without_a_key_the_rows_are_to_differ():
    snapshot = DatasetSnapshot(
        dataset="d",
        uri="/d",
        digest="sha256:0",
        n_rows=10,
        columns=(Column(name="a", type="double"), Column(name="b", type="double")),
        source={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="ada",
    )
    profile = DatasetProfile(snapshot_digest="sha256:0", n_rows=10, columns=())
    last = propose_suite(snapshot, profile)["expectations"][-1]
    assert last["type"] == "expect_compound_columns_to_be_unique"
    assert last["kwargs"]["column_list"] == ["a", "b"]
