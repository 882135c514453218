from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.data.bins import SPECIAL_BINS, bin_counts, common_exponent, plan_bins, profile_values

finite = st.floats(-1e6, 1e6).map(lambda value: value + 0.0)


@given(st.lists(finite, min_size=1, max_size=200))
def test_every_value_lies_in_one_bin_of_its_profile(values):
    profile = profile_values("x", np.array(values))
    assert profile.n_rows == len(values)
    assert (profile.counts["below"], profile.counts["above"]) == (0, 0)
    assert dict(profile.quantiles)[0.5] in values


def test_a_few_numbers_have_a_bin_each():
    profile = profile_values("x", np.array([0, 1, 1, 3]))
    assert [profile.counts[label] for label in ("[0, 1)", "[1, 3)")] == [1, 2]
    assert profile.n_distinct == len(profile.edges) - 1 == 3


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        (np.array([True, False, True]), {"=true": 2, "=false": 1}),  # as the engine writes them
        (np.array(["yes", "no", "yes"], dtype=object), {"=yes": 2, "=no": 1}),
        (np.array([True, "x"], dtype=object), {"=true": 1, "=x": 1}),
    ],
)
def test_labels_are_counted_by_their_text(labels, counts):
    profile = profile_values("x", labels)
    assert (profile.edges, profile.counts) == (None, counts)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20, unique=True), st.integers(-6, 6))
def test_the_cells_of_a_common_exponent_are_the_widest_that_no_inner_edge_cuts(numbers, power):
    edges = [number * 2.0**power for number in sorted(numbers)]
    exponent = common_exponent(edges, 10**9)
    inner = [edge * 2.0**exponent for edge in edges[1:-1] if edge]
    assert all(place.is_integer() for place in inner)
    assert not inner or any(place % 2 for place in inner)


@pytest.mark.parametrize("edges", [(), (0.0, 0.1, 0.3, 1.0), (0.0, 1.0, 1e300), (0.0, 1.0, 2.0, 1e6)])
def test_edges_that_too_many_cells_would_be_needed_for_have_no_exponent(edges):
    assert common_exponent(edges, 1000) is None


def test_many_rows_of_nearly_one_value_need_no_cells():
    """Of a sample whose quantiles are all the same, one edge is left, from which no width follows."""
    plan = plan_bins(np.concatenate([np.zeros(1000), np.arange(-20.0, 20.0)]))
    assert (plan.edges, plan.exponent) == ((0.0,), None)


def test_values_whose_span_is_no_float_are_not_counted_by_cells():
    plan = plan_bins(np.linspace(-1.0, 1.0, 100) * 1.7e308)
    assert len(plan.edges) == 19
    assert plan.exponent is None


def test_of_no_rows_every_bin_is_empty():
    assert bin_counts([0.0, 1.0, 2.0], []) == dict.fromkeys((*SPECIAL_BINS, "[0, 1)", "[1, 2)"), 0)
