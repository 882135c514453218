from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data.bins import bin_counts, outer_edges, plan_bins
from airflow_mlops.core.data.profile import (
    MAX_CATEGORIES,
    OTHER,
    QUANTILES,
    ColumnProfile,
    DatasetProfile,
    bin_labels,
    fold_rare,
    has_profile,
    is_moment,
    is_numeric,
    may_be_key,
    quantiles_of,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
many = st.lists(finite, min_size=40, max_size=120)


@given(many)
def test_edges_ascend_and_lie_among_the_values(values):
    edges = plan_bins(np.array(values)).edges
    assert list(edges) == sorted(set(edges))
    assert edges[-1] <= max(values)
    assert len(edges) <= 32


@given(st.lists(st.integers(-2_000, 2_000), min_size=40, max_size=200, unique=True))
def test_edges_that_are_counted_by_cells_are_whole_multiples_of_their_width(values):
    plan = plan_bins(np.array(values, dtype=float) / 7)
    assert plan.exponent is not None
    assert all(math.ldexp(edge, plan.exponent).is_integer() for edge in plan.edges)
    assert len(plan.edges) == 19


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1))
def test_few_values_are_counted_one_by_one(values):
    plan = plan_bins(np.array(values))
    assert plan.is_by_value
    assert plan.edges == tuple(sorted(set(values)))


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
def test_without_a_finite_value_there_are_no_edges(values):
    assert plan_bins(np.array(values, dtype=float)).edges == ()


@pytest.mark.parametrize("values", [[5e-324 * i for i in range(40)], [1e300 * 1.5**i for i in range(40)]])
def test_numbers_at_the_ends_of_what_a_float_holds_have_edges_too(values):
    plan = plan_bins(np.array([value for value in values if math.isfinite(value)]))
    assert all(math.isfinite(edge) for edge in plan.edges)


def test_a_sample_without_a_spike_has_about_as_many_values_in_each_bin():
    values = np.random.default_rng(0).normal(size=10_000)
    edges = outer_edges(plan_bins(values).edges, values.min(), values.max())
    counts = bin_counts(edges, [(float(value), 1) for value in values])
    shares = [counts[label] / 10_000 for label in bin_labels(edges)]
    assert len(shares) == 20
    assert min(shares) > 0.03
    assert max(shares) < 0.07


def test_a_constant_gets_a_bin_that_holds_just_its_value():
    low, high = outer_edges([3.0], 3.0, 3.0)
    assert (low, high) == (3.0, math.nextafter(3.0, math.inf))


def test_each_of_two_values_gets_a_bin_of_its_own():
    edges = outer_edges([0.0, 1.0], 0.0, 1.0)
    counts = bin_counts(edges, [(0.0, 7), (1.0, 3)])
    assert [counts[label] for label in bin_labels(edges)] == [7, 3]


@given(many)
def test_no_value_is_lost_between_the_outer_edges(values):
    edges = outer_edges(plan_bins(np.array(values)).edges, min(values), max(values))
    counts = bin_counts(edges, [(value, 1) for value in values])
    assert list(edges) == sorted(set(edges))
    assert sum(counts.values()) == len(values)
    for low, high, label in zip(edges, edges[1:], bin_labels(edges), strict=False):
        last = high == edges[-1]
        assert counts[label] == sum(low <= value < high or (last and value == high) for value in values)


@given(st.lists(finite, min_size=1, max_size=120))
def test_a_quantile_is_the_smallest_value_that_its_share_is_not_above(values):
    found = quantiles_of([(value, 1) for value in sorted(values)])
    expected = np.quantile(np.array(values), QUANTILES, method="inverted_cdf").tolist()
    assert found == tuple(zip(QUANTILES, expected, strict=True))


def test_without_values_there_are_no_quantiles():
    assert quantiles_of([]) == ()


def test_bins_that_lie_close_together_have_different_names():
    edges = [1.0, np.nextafter(1.0, 2), np.nextafter(np.nextafter(1.0, 2), 2)]
    assert len(set(bin_labels(edges))) == 2


def test_only_the_most_frequent_values_have_bins_of_their_own():
    counts = {f"{i:03d}": 2 if i < MAX_CATEGORIES else 1 for i in range(150)}
    folded = fold_rare(counts, 4, sum(counts.values()) + 4, known={})
    assert (folded.pop(OTHER), folded.pop("null")) == (50, 4)
    assert folded == {f"={i:03d}": 2 for i in range(MAX_CATEGORIES)}


def test_a_profile_comes_back_from_json_as_it_was():
    column = ColumnProfile(
        name="x", edges=(0.0, 1.0), counts={"null": 1}, minimum=0.0, maximum=1.0, top_values=(("0", 3),), mean=0.5
    )
    moment = ColumnProfile(name="at", minimum="2026-01-01T00:00:00", is_ordered=True)
    profile = DatasetProfile(snapshot_digest="s", n_rows=1, columns=(column, moment))
    assert DatasetProfile.from_dict(profile.to_dict()) == profile
    assert (column.n_null, column.n_nan, column.n_rows) == (1, 0, 1)


def test_a_profile_that_was_stored_before_there_was_more_to_say_is_read():
    stored = {"kind": "DatasetProfile", "schema_version": 1, "snapshot_digest": "s", "n_rows": 1}
    profile = DatasetProfile.from_dict({**stored, "columns": [{"name": "x", "edges": None, "counts": {"=a": 1}}]})
    assert profile.columns[0].n_rows == 1


@pytest.mark.parametrize(
    ("kind", "numeric", "moment", "countable"),
    [
        ("int8", True, False, True),
        ("decimal128(5, 2)", True, False, True),
        ("timestamp[us, tz=UTC]", False, True, True),
        ("date32[day]", False, True, True),
        ("string", False, False, True),
        ("bool", False, False, True),
        ("list<l: int32>", False, False, False),
        ("binary", False, False, False),
        ("map<string, int32>", False, False, False),
    ],
)
def test_types_are_told_by_their_text(kind, numeric, moment, countable):
    assert (is_numeric(kind), is_moment(kind), has_profile(kind)) == (numeric, moment, countable)


def test_numbers_of_which_no_smallest_is_known_are_not_taken_for_a_key():
    assert not may_be_key(ColumnProfile(name="id", edges=(), counts={"all": 300}, n_distinct=300))
