"""The statistics against scipy, on clean data, and their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from airflow_mlops.core.data.profile import OTHER, ColumnProfile
from airflow_mlops.core.stats.drift_statistics import (
    adjust_p_values,
    chi_square,
    expected_counts,
    homogeneity_p_value,
    jensen_shannon_distance,
    kolmogorov_smirnov,
    pool_rare,
    population_stability_index,
    sampling_noise,
    wasserstein_distance,
)
from tests.core.drift_cases import counted, numbers, texts

counts = st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), min_size=1, max_size=12).filter(
    lambda bins: sum(bins.values()) > 0
)
DISTANCES = (population_stability_index, jensen_shannon_distance)
each_distance = pytest.mark.parametrize("distance", DISTANCES, ids=lambda each: each.__name__)


@each_distance
@given(bins=counts)
def test_equal_counts_are_at_no_distance(distance, bins):
    assert distance(reference=bins, current=dict(bins)) == pytest.approx(0.0, abs=1e-7)


@each_distance
@given(one=counts, other=counts)
def test_a_distance_is_symmetric_finite_and_never_negative(distance, one, other):
    forth = distance(reference=one, current=other)
    assert 0.0 <= forth < math.inf
    assert distance(reference=other, current=one) == pytest.approx(forth, abs=1e-7)


@each_distance
@given(one=counts, other=counts, random=st.randoms())
def test_neither_the_order_of_the_bins_nor_empty_ones_matter(distance, one, other, random):
    shuffled = [*one.items(), ("(empty)", 0)]
    random.shuffle(shuffled)
    assert distance(reference=dict(shuffled), current=other) == distance(reference=one, current=other)


@pytest.mark.parametrize(("one", "other"), [({}, {"a": 1}), ({"a": 1}, {}), ({"a": 0}, {"a": 1})])
def test_a_side_without_rows_has_no_distance(one, other):
    for statistic in (*DISTANCES, sampling_noise):
        assert math.isnan(statistic(reference=one, current=other))
    assert all(math.isnan(each) for each in chi_square(reference=one, current=other))


def test_the_index_of_a_shift_is_that_of_its_formula():
    p, q = np.array([90.5, 10.5]) / 101, np.array([10.5, 90.5]) / 101
    found = population_stability_index(reference={"a": 90, "b": 10}, current={"a": 10, "b": 90})
    assert found == pytest.approx(float(((p - q) * np.log(p / q)).sum()))


@given(counts, counts)
def test_the_jensen_shannon_distance_is_scipys(one, other):
    names = sorted({*one, *other})
    expected = jensenshannon([one.get(name, 0) for name in names], [other.get(name, 0) for name in names])
    assert jensen_shannon_distance(reference=one, current=other) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=2, max_size=120))
def test_the_chi_square_test_is_scipys(pairs):
    p, q = zip(*pairs, strict=True)
    expected = stats.chi2_contingency([p, q], correction=False)
    statistic, p_value = chi_square(reference=dict(enumerate(p)), current=dict(enumerate(q)))
    assert statistic == pytest.approx(expected.statistic)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, np.random.Generator.standard_exponential])
def test_the_statistics_of_numbers_are_scipys_within_the_bounds_that_are_stated(draw, shift):
    rng = np.random.default_rng(3)
    old, new = draw(rng, 20_000), draw(rng, 5_000) + shift
    reference = numbers(old)
    current = counted(reference, new)
    ours, p_value = kolmogorov_smirnov(reference=reference, current=current)
    exact = stats.ks_2samp(old, new, method="asymp")
    fullest = max(max(side.counts.values()) / side.n_rows for side in (reference, current))
    assert exact.statistic - fullest <= ours <= exact.statistic + 1e-12
    assert p_value >= exact.pvalue * 0.98
    assert (p_value < 0.001) == (shift > 0)

    low, high = np.quantile(old, [0.01, 0.99])
    clipped, moved = np.clip(old, low, high), np.clip(new, low, high)
    expected = stats.wasserstein_distance(clipped, moved) / clipped.std()
    assert wasserstein_distance(reference=reference, current=current) == pytest.approx(
        expected, rel=0.03 if shift <= 1 else 0.12, abs=0.02
    )


def test_where_each_value_has_a_bin_the_statistics_are_scipys_exactly():
    rng = np.random.default_rng(0)
    old, new = rng.poisson(2, 4000).astype(float), rng.poisson(2.2, 3000).clip(0, 8).astype(float)
    reference = numbers(old)
    current = counted(reference, new)
    distance, p_value = kolmogorov_smirnov(reference=reference, current=current)
    exact = stats.ks_2samp(old, new, method="asymp")
    assert distance == pytest.approx(exact.statistic)
    assert p_value == pytest.approx(exact.pvalue, rel=0.05)
    low, high = np.quantile(old, [0.01, 0.99], method="inverted_cdf")
    clipped, moved = np.clip(old, low, high), np.clip(new, low, high)
    found = wasserstein_distance(reference=reference, current=current)
    assert found == pytest.approx(stats.wasserstein_distance(clipped, moved) / clipped.std())


def test_a_rare_value_that_becomes_frequent_is_at_a_distance_though_both_percentiles_are_equal():
    reference = numbers(np.repeat([0.0, 1.0], [9990, 10]))
    assert wasserstein_distance(reference=reference, current=counted(reference, np.repeat([0.0, 1.0], 50))) > 1


def test_another_value_than_the_only_one_is_infinitely_far_and_the_same_one_not_at_all():
    reference = numbers(np.full(100, 5.0))
    assert wasserstein_distance(reference=reference, current=counted(reference, np.full(50, 5.3))) == math.inf
    assert wasserstein_distance(reference=reference, current=counted(reference, np.full(50, 5.0))) == 0.0


def test_without_a_number_there_is_nothing_in_an_order():
    reference, nothing = numbers(np.arange(10.0)), ColumnProfile(name="x", edges=(0.0, 1.0), counts={"null": 5})
    assert math.isnan(wasserstein_distance(reference=reference, current=nothing))
    assert all(map(math.isnan, kolmogorov_smirnov(reference=reference, current=nothing)))


@pytest.mark.statistics
@pytest.mark.parametrize(("k", "n", "m"), [(10, 500, 500), (20, 100_000, 1000), (101, 20_000, 5000)])
def test_the_noise_is_what_samples_of_one_distribution_are_at_on_the_average(k, n, m):
    rng = np.random.default_rng(k)
    shares = rng.dirichlet(np.full(k, 5.0))
    found, expected = [], []
    for _ in range(200):
        p, q = (dict(enumerate(rng.multinomial(size, shares).tolist())) for size in (n, m))
        p, q = pool_rare(reference=p, current=q)
        found.append(
            [population_stability_index(reference=p, current=q), jensen_shannon_distance(reference=p, current=q) ** 2]
        )
        expected.append(sampling_noise(reference=p, current=q))
    psi, divergence = np.mean(found, axis=0)
    assert psi == pytest.approx(np.mean(expected), rel=0.1)
    assert divergence == pytest.approx(np.mean(expected) / 8, rel=0.1)


@given(counts, counts)
def test_pooling_loses_no_row(one, other):
    p, q = pool_rare(reference=one, current=other)
    assert (sum(p.values()), sum(q.values())) == (sum(one.values()), sum(other.values()))
    assert set(p) == set(q)


@pytest.mark.statistics
@pytest.mark.parametrize(("power", "n_rows"), [(0.0, 500), (0.0, 5_000), (1.0, 500), (1.0, 20_000), (1.5, 3_000)])
def test_what_frequent_categories_lose_is_what_they_have_less_in_the_next_sample(power, n_rows):
    rng = np.random.default_rng(n_rows)
    shares = np.arange(1, 1001) ** -power
    chosen, again, expected = [], [], []
    for _ in range(40):
        old, new = (rng.choice(1000, n_rows, p=shares / shares.sum()).astype(str).tolist() for _ in ("old", "new"))
        column = texts(old)
        chosen.append(n_rows - column.counts[OTHER])
        again.append(n_rows - counted(column, new).counts[OTHER])
        expected.append(n_rows - expected_counts(column)[OTHER])
    bias = np.mean(chosen) - np.mean(again)
    assert bias > 0
    assert abs(np.mean(expected) - np.mean(again)) < bias / 2


@given(st.dictionaries(st.text(max_size=3).map("={}".format), st.integers(1, 50), max_size=12), st.integers(0, 50))
def test_what_is_expected_loses_no_row(named, other):
    column = ColumnProfile(name="x", counts={**named, OTHER: other}, n_distinct=len(named) + other)
    found = expected_counts(column)
    assert sum(found.values()) == pytest.approx(column.n_rows)
    assert all(0 <= found[label] <= n_rows for label, n_rows in named.items())


@pytest.mark.statistics
@pytest.mark.parametrize("share", [0.001, 0.0001])
@pytest.mark.parametrize(("n", "m"), [(200_000, 500), (20_000, 500), (500, 20_000), (200_000, 5_000)])
def test_a_rare_category_is_no_proof_more_often_than_it_says(share, n, m):
    rng = np.random.default_rng(n + m)
    found = []
    for _ in range(1000):
        old, new = (rng.binomial(size, share) for size in (n, m))
        p, q = pool_rare(reference={"a": n - old, "b": old}, current={"a": m - new, "b": new})
        found.append(homogeneity_p_value(reference=p, current=q))
    assert np.mean(np.array(found) < 0.05) < 0.07
    assert np.mean(np.array(found) < 0.001) < 0.005


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["holm", "benjamini_hochberg"]))
def test_a_corrected_probability_is_never_smaller_and_keeps_the_order(p_values, correction):
    adjusted = adjust_p_values(p_values, correction)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert adjust_p_values([math.nan, *p_values], correction)[1:] == adjusted


def test_the_correction_by_the_false_discovery_rate_is_scipys():
    p_values = np.random.default_rng(0).uniform(size=40) ** 3
    expected = stats.false_discovery_control(p_values)
    assert adjust_p_values(p_values.tolist(), "benjamini_hochberg") == pytest.approx(expected.tolist())
