"""Drift statistics: how far apart two histograms are, and whether chance explains it.

All of them are functions of counts by bin, so that the reference is a stored profile and its rows are not read again.
Null, NaN and the infinities have bins of their own, and so have values outside of what the reference had: a value of
1e9 is one row in one bin and stretches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, bin_labels

__all__ = [
    "adjust_p_values",
    "chi_square",
    "expected_counts",
    "homogeneity_p_value",
    "jensen_shannon_distance",
    "kolmogorov_smirnov",
    "part_newcomers",
    "pool_rare",
    "population_stability_index",
    "sampling_noise",
    "wasserstein_distance",
]

Counts = Mapping[str, float]
"""Rows by bin."""

_FEW = 5.0
_RARE = "(rare)"


def expected_counts(column: ColumnProfile) -> dict[str, float]:
    """Return how many rows each category would have in another sample as large, if nothing had drifted.

    The frequent categories have bins of their own because they were frequent in this very sample, which flatters them:
    of a thousand equal ones in a thousand rows, the hundred bins hold a third of the rows, and of the next sample a
    tenth. Another sample has ``(r + 1) n(r + 1)`` rows of the categories that this one has ``r`` rows each of, of which
    there are ``n(r)`` (Good, *The Population Frequencies of Species and the Estimation of Population Parameters*, 1953,
    eq. 2). Summed up from the rarest bin on, all bins together lose the rows of the rarest ones; each loses as many. A
    category without a bin is not expected to have more rows than the rarest with one.

    >>> expected_counts(ColumnProfile(name="x", counts={"=a": 8, "=b": 8, "=c": 1, "=d": 1}))
    {'=a': 7.5, '=b': 7.5, '=c': 0.5, '=d': 0.5, '(other)': 2.0}
    """
    # Only categories were chosen by their counts; null and other special bins exist in any sample.
    named = {label: n_rows for label, n_rows in column.counts.items() if label.startswith("=")}
    rows, other = np.sort(np.array(list(named.values()), dtype=float)), column.counts.get(OTHER, 0)
    lost = _lost_rows(rows, other, column.n_distinct) if named else 0.0
    if not lost:
        return dict(column.counts)
    # What the bins lose goes to the categories without one, so that the total stays.
    level = _level(rows, lost)
    left = {label: n_rows - min(n_rows, level) for label, n_rows in named.items()}
    return {**column.counts, **left, OTHER: other + lost}


def _lost_rows(rows: NDArray[np.float64], other: float, n_distinct: int | None) -> float:
    """Return how many rows all bins together are expected to lose.

    :param rows: of the bins, ascending.
    :param other: rows of the categories without a bin.
    """
    # Every category has a bin: of those seen once, the next sample has as many rows of new ones.
    if not other:
        return float((rows == 1).sum())
    rarest = float(rows[0])
    # n(r) and n(r + 1), smoothed over a width of the counts' own standard deviation.
    width = max(round(math.sqrt(rarest)), 1)  # of large counts there is one here and there
    here, above = (((rows >= low) & (rows < low + width)).sum() / width for low in (rarest, rarest + 1))
    # At a count of 1, what has no bin is categories of one row each; above, it is estimated by the neighbouring count.
    there = here + other if rarest == 1 else max(here, above)  # as rare, with a bin or without
    # Good's estimate, summed over the bins from the rarest on, telescopes to this: of the categories as rare as the
    # rarest bin, a share of here / there has one.
    lost = rarest * here + (1 - here / there) * (rarest + 1) * above
    if rarest >= _FEW and n_distinct:  # below, there are categories that nobody has seen
        lost = min(lost, max((n_distinct - len(rows)) * rarest - other, 0.0))
    return float(min(lost, rows.sum()))


def _level(rows: NDArray[np.float64], lost: float) -> float:
    """Return how many rows each bin loses, or all it has, so that they lose so many together."""
    # If the i rarest bins lose all they have, the others share the rest: the first i where all of them have enough.
    before = np.concatenate(([0.0], np.cumsum(rows)[:-1]))
    shares = (lost - before) / np.arange(len(rows), 0, -1)
    return float(shares[np.argmax(rows >= shares)])


def part_newcomers(*, reference: Counts, current: Counts, frequent: Sequence[tuple[str, int]]) -> tuple[Counts, Counts]:
    """Give a bin to categories that have become frequent, and had none because they were rare, or new.

    Among all the other categories they would not be seen: where these are half of the rows, another tenth is little.
    The reference had at most as many rows of such a category as of the rarest with a bin. To chance alone, no bin is
    given: what gets one has more than twice as many rows as would be expected then, and ten more.

    :param frequent: the most frequent categories of the current rows, with their numbers.

    >>> reference, current = {"=a": 60, "=b": 2, "(other)": 38}, {"=a": 40, "(other)": 60}
    >>> part_newcomers(reference=reference, current=current, frequent=[("a", 40), ("z", 30), ("y", 4)])
    ({'=a': 60, '=b': 2, '(other)': 36, '=z': 2}, {'=a': 40, '(other)': 30, '=z': 30})
    """
    named = [n_rows for label, n_rows in reference.items() if label.startswith("=")]
    if not named or not reference.get(OTHER) or not current.get(OTHER):
        return reference, current
    # The most that the reference can have had of a category without a bin, scaled to the size of the current sample.
    before, now, rarest = dict(reference), dict(current), max(min(named), 1)
    expected = rarest * sum(current.values()) / sum(reference.values())
    for value, n_rows in frequent:
        # Both sides take the category out of the others, so that neither total changes.
        label = f"={value}"
        if label not in before and 2 * (expected + _FEW) < n_rows <= now[OTHER]:
            before[label] = min(rarest, before[OTHER])
            before[OTHER] -= before[label]
            now[label], now[OTHER] = n_rows, now[OTHER] - n_rows
    return before, now


def pool_rare(*, reference: Counts, current: Counts) -> tuple[dict[str, float], dict[str, float]]:
    """Put the bins together that have too few rows to say anything.

    Those are the bins of which the smaller sample would have fewer than 5 rows if nothing had drifted (Cochran, *Some
    Methods for Strengthening the Common chi-square Tests*, 1954). A thousand categories are so compared by those that
    can be compared. A bin of which the smaller sample has 20 rows or more stands by itself: it has drifted, or it would
    be expected to have more than 5.

    :returns: counts by bin, of the same bins.

    >>> pool_rare(reference={"a": 90, "b": 1, "c": 9}, current={"a": 80, "d": 2, "c": 18})
    ({'a': 90, 'c': 9, '(rare)': 1}, {'a': 80, 'c': 18, '(rare)': 2})
    """
    n, m = sum(reference.values()), sum(current.values())
    # The expected count of a bin in the smaller sample is its count in both, by the sample's share of all rows.
    both = {name: reference.get(name, 0) + current.get(name, 0) for name in {**reference, **current}}
    limit = _FEW * (n + m) / max(min(n, m), 1)
    smaller = reference if n < m else current
    kept = [name for name, n_rows in both.items() if n_rows >= limit or smaller.get(name, 0) >= 4 * _FEW]

    def pooled(counts: Counts) -> dict[str, float]:
        found = {name: counts.get(name, 0) for name in kept}
        return {**found, _RARE: sum(counts.values()) - sum(found.values())}

    return pooled(reference), pooled(current)


def sampling_noise(*, reference: Counts, current: Counts) -> float:
    r"""Return the population stability index that is to be expected if nothing has drifted.

    .. math:: (k - 1) \left(\frac{1}{n} + \frac{1}{m}\right)

    for :math:`k` bins with rows and samples of :math:`n` and :math:`m` rows: the index divided by the bracket is then
    distributed about as chi-square with :math:`k - 1` degrees of freedom (Yurdakul and Naranjo, *Statistical properties
    of the population stability index*, 2020). The Jensen-Shannon divergence is an eighth of it, by the same expansion.

    >>> sampling_noise(reference={"a": 500, "b": 500}, current={"a": 250, "b": 250})
    0.003
    """
    p, q = _aligned(reference, current)
    return max(len(p) - 1, 0) * (1 / float(p.sum()) + 1 / float(q.sum())) if p.sum() and q.sum() else math.nan


def population_stability_index(*, reference: Counts, current: Counts) -> float:
    r"""Measure how far two histograms are apart.

    .. math:: \sum_b (q_b - p_b) \ln(q_b / p_b)

    Half a row is added to each bin that either side has, so that an empty bin does not make the sum infinite and
    so that the same counts always give the same number, whatever the totals. Jeffreys, *An Invariant Form for the
    Prior Probability in Estimation Problems* (1946); Siddiqi, *Credit Risk Scorecards* (2006), ch. 6, names it and
    its usual limits, 0.1 and 0.25.

    :returns: 0 for equal distributions, no upper bound; NaN when a side has no rows.

    >>> population_stability_index(reference={"a": 50, "b": 50}, current={"a": 50, "b": 50})
    0.0
    >>> round(population_stability_index(reference={"a": 90, "b": 10}, current={"a": 10, "b": 90}), 2)
    3.41
    """
    p, q = _aligned(reference, current)
    if not p.sum() or not q.sum():
        return math.nan
    # Half a row for each bin, then shares: the logarithm of an empty bin stays finite.
    p, q = p + 0.5, q + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((p - q) * np.log(p / q)))


def jensen_shannon_distance(*, reference: Counts, current: Counts) -> float:
    r"""Measure how far two histograms are apart, on a scale that has an end.

    .. math:: \sqrt{\tfrac{1}{2} \sum_b p_b \ln\frac{p_b}{m_b} + \tfrac{1}{2} \sum_b q_b \ln\frac{q_b}{m_b}}, \quad
        m_b = \frac{p_b + q_b}{2}

    Nothing is smoothed: an empty bin adds nothing. Lin, *Divergence Measures Based on the Shannon Entropy* (1991), and
    Endres and Schindelin (2003) for the root, which is a metric.

    :returns: in [0, 0.8326], the root of ln 2; NaN when a side has no rows.

    >>> round(jensen_shannon_distance(reference={"a": 1}, current={"b": 1}), 4)
    0.8326
    """
    p, q = _aligned(reference, current)
    if not p.sum() or not q.sum():
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    # Both against their mixture, which is empty nowhere where either has rows.
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log(side / middle), 0.0).sum() for side in (p, q)]
    return math.sqrt(max(sum(parts) / 2, 0.0))


def chi_square(*, reference: Counts, current: Counts) -> tuple[float, float]:
    r"""Test whether two samples have the same shares.

    .. math:: \sum_b \sum_s \frac{(o_{sb} - e_{sb})^2}{e_{sb}}

    over both samples :math:`s`, with :math:`e` from the shares of both together: Pearson's test of homogeneity (1900),
    without a correction for continuity. Pool rare bins before, see :func:`pool_rare`.

    :returns: the statistic, and the probability of one at least as large if nothing has drifted; NaN when a side has
        no rows.

    >>> statistic, p_value = chi_square(reference={"a": 60, "b": 40}, current={"a": 40, "b": 60})
    >>> statistic, round(p_value, 5)
    (8.0, 0.00468)
    """
    p, q = _aligned(reference, current)
    n, m = float(p.sum()), float(q.sum())
    if not n or not m:
        return math.nan, math.nan
    # Without drift both samples have the shares of the pooled one.
    shares = (p + q) / (n + m)
    statistic = float(sum(((found - rows * shares) ** 2 / (rows * shares)).sum() for found, rows in ((p, n), (q, m))))
    return statistic, _chi_square_tail(statistic, len(p) - 1)


def homogeneity_p_value(*, reference: Counts, current: Counts) -> float:
    """Test whether two samples have the same shares, by :func:`chi_square` where each bin has enough rows for it.

    Where :func:`pool_rare` left too few even together, one row among them would be proof: of 200,000 rows and 500, a
    category of 20 rows has a row in one of 20 samples, of a probability below 1e-4 by chi-square. Those are tested by
    themselves, by Poisson's distribution, and the smaller of both probabilities is doubled (Bonferroni).

    :param reference: pooled, as ``current``.

    >>> reference, current = {"a": 199_980, "(rare)": 20}, {"a": 499, "(rare)": 1}
    >>> round(chi_square(reference=reference, current=current)[1], 5)
    3e-05
    >>> round(homogeneity_p_value(reference=reference, current=current), 2)
    0.1
    """
    n, m = sum(reference.values()), sum(current.values())
    rare = reference.get(_RARE, 0), current.get(_RARE, 0)
    expected = sum(rare) * min(n, m) / max(n + m, 1)
    if not 0 < expected < _FEW:
        return chi_square(reference=reference, current=current)[1]
    # Two tests on disjoint bins: the frequent ones by chi-square, the pooled rare ones by Poisson's tail.
    kept = [{name: n_rows for name, n_rows in side.items() if name != _RARE} for side in (reference, current)]
    p_value = chi_square(reference=kept[0], current=kept[1])[1]
    tail = _poisson_tail(rare[0] if n < m else rare[1], expected)
    return min(2 * (tail if math.isnan(p_value) else min(p_value, tail)), 1.0)


def kolmogorov_smirnov(*, reference: ColumnProfile, current: ColumnProfile) -> tuple[float, float]:
    r"""Test whether two samples of numbers have the same distribution.

    .. math:: D = \max_i |F(x_i) - G(x_i)|

    over the edges of the bins. The infinities are the smallest and the largest numbers; null and NaN have no place in
    the order and are left out. :math:`D` of the values themselves is larger by at most the share of the fullest bin,
    and the same where each value has a bin of its own. The probability is Kolmogorov's limit with the correction of
    Stephens, *Use of the Kolmogorov-Smirnov, Cramer-Von Mises and Related Statistics* (1970).

    :returns: :math:`D` in [0, 1], and the probability of one at least as large if nothing has drifted; NaN when a side
        has no number.

    >>> bins = {"name": "x", "edges": (0.0, 1.0, 2.0)}
    >>> reference = ColumnProfile(**bins, counts={"[0, 1)": 50, "[1, 2)": 50})
    >>> current = ColumnProfile(**bins, counts={"[0, 1)": 20, "[1, 2)": 80})
    >>> distance, p_value = kolmogorov_smirnov(reference=reference, current=current)
    >>> round(distance, 6), round(p_value, 5)
    (0.3, 0.00017)
    """
    p, q = _ordered(reference, reference), _ordered(reference, current)
    n, m = float(p.sum()), float(q.sum())
    if not n or not m:
        return math.nan, math.nan
    # Both distribution functions at the bins' upper edges.
    distance = float(np.abs(np.cumsum(p) / n - np.cumsum(q) / m).max())
    # The effective sample size; 0.12 and 0.11 are Stephens' correction for finite samples.
    root = math.sqrt(n * m / (n + m))
    return distance, _kolmogorov_tail((root + 0.12 + 0.11 / root) * distance)


def wasserstein_distance(*, reference: ColumnProfile, current: ColumnProfile) -> float:
    r"""Measure how far numbers have to be moved, in standard deviations of the reference.

    .. math:: \frac{1}{\sigma} \int |F(x) - G(x)| \, dx

    (Vallender, *Calculation of the Wasserstein Distance Between Probability Distributions on the Line*, 1974). Both
    samples are first clipped to the first and the last percentile of the reference, where these differ, and
    :math:`\sigma` is that of the clipped reference: a few values far out would otherwise decide alone. Within a bin,
    rows are taken for evenly spread, or for equal to its lower edge where each value has a bin of its own. The first
    is wrong by at most half of the bin's width for each row in it. Null and NaN are left out.

    :returns: 0 for equal distributions; infinite where the reference has one value and the current rows have others;
        NaN when a side has no number.

    >>> bins = {"name": "x", "edges": (0.0, 1.0, 2.0)}
    >>> reference = ColumnProfile(**bins, counts={"[0, 1)": 50, "[1, 2)": 50})
    >>> current = ColumnProfile(**bins, counts={"[0, 1)": 20, "[1, 2)": 80})
    >>> round(wasserstein_distance(reference=reference, current=current), 4)
    0.5196
    """
    p, q = _ordered(reference, reference), _ordered(reference, current)
    n, m, edges = p.sum(), q.sum(), reference.edges
    if not n or not m or not edges:
        return math.nan
    p, q = p / n, q / m
    # A reference of one value has no standard deviation to measure in.
    if np.count_nonzero(p) == 1:
        return 0.0 if np.array_equal(p, q) else math.inf
    # The edges are clipped, not the rows: what is further out counts as if it were at the first or last percentile.
    places = _clipped(edges, dict(reference.quantiles))
    # F - G after each bin; its absolute value is integrated over the widths.
    widths, gaps = np.diff(places), np.cumsum(p - q)
    if _has_bin_for_each_value(reference):
        # All rows of a bin stand at its lower edge, so F - G is constant between edges.
        values = np.concatenate((places[:1], places[:-1], places[-1:]))
        moved, variance = float((np.abs(gaps[1:-2]) * widths[:-1]).sum()), _variance(p, values, 0.0)
    else:
        # Rows are spread evenly, so F - G is a straight line within a bin; what is outside stands at the outer edges.
        centres = np.concatenate((places[:1], (places[:-1] + places[1:]) / 2, places[-1:]))
        moved = float((_mean_distance(gaps[:-2], gaps[1:-1]) * widths).sum())
        variance = _variance(p, centres, np.concatenate(([0.0], widths, [0.0])))
    return float(moved / math.sqrt(variance)) if variance > 0 else math.nan


def adjust_p_values(
    p_values: Sequence[float], correction: Literal["holm", "benjamini_hochberg", "none"]
) -> tuple[float, ...]:
    """Correct probabilities for the number of features that were tested.

    ``holm`` bounds the probability of even one false alarm (Holm, *A Simple Sequentially Rejective Multiple Test
    Procedure*, 1979), ``benjamini_hochberg`` the expected share of false ones among the alarms (Benjamini and Hochberg,
    *Controlling the False Discovery Rate*, 1995). NaN, which is no test, stays NaN and does not count.

    >>> adjust_p_values([0.01, 0.04, 0.03], "holm")
    (0.03, 0.06, 0.06)
    >>> adjust_p_values([0.01, 0.04, 0.03], "benjamini_hochberg")
    (0.03, 0.04, 0.04)
    """
    found = np.array(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(found))
    if correction == "none" or not len(tested):
        return tuple(found.tolist())
    # Step down from the smallest (Holm), or up from the largest (Benjamini-Hochberg); the running extreme keeps the
    # order of the corrected probabilities that of the raw ones.
    order = tested[np.argsort(found[tested], kind="stable")]
    ranks, n = np.arange(1, len(order) + 1), len(order)
    if correction == "holm":
        adjusted = np.maximum.accumulate(found[order] * (n - ranks + 1))
    else:
        adjusted = np.minimum.accumulate((found[order] * (n / ranks))[::-1])[::-1]
    found[order] = np.minimum(adjusted, 1.0)
    return tuple(found.tolist())


def _aligned(reference: Counts, current: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the counts of the bins that have rows on either side, in one order."""
    bins = sorted(name for name in {*reference, *current} if reference.get(name) or current.get(name))
    p, q = (np.array([side.get(name, 0) for name in bins], dtype=float) for side in (reference, current))
    return p, q


def _ordered(bins: ColumnProfile, counted: ColumnProfile) -> NDArray[np.float64]:
    """Return the counts below the first bin, in each bin, and above the last one: ``(n_bins + 2,) float64``."""
    counts = counted.counts
    outer = [counts.get("below", 0) + counts.get("-inf", 0), counts.get("above", 0) + counts.get("+inf", 0)]
    inner = [counts.get(label, 0) for label in bin_labels(bins.edges or ())]
    return np.array([outer[0], *inner, outer[1]], dtype=float)


def _clipped(edges: Sequence[float], quantiles: Mapping[float, float]) -> NDArray[np.float64]:
    low, high = quantiles.get(0.01, edges[0]), quantiles.get(0.99, edges[-1])
    return np.clip(edges, low, high) if low < high else np.array(edges)


def _has_bin_for_each_value(column: ColumnProfile) -> bool:
    return column.n_distinct == len(column.edges or ()) - 1


def _mean_distance(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the absolute value of a straight line between two ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where the line changes its sign, its absolute value is two triangles.
        crossing = (low**2 + high**2) / (2 * (np.abs(low) + np.abs(high)))
    return np.where(low * high < 0, crossing, np.abs(low + high) / 2)


def _variance(shares: NDArray[np.float64], centres: NDArray[np.float64], widths: NDArray[np.float64] | float) -> float:
    """Return the variance of bins that rows are evenly spread in."""
    mean = float((shares * centres).sum())
    # Between the bins, and within each: a uniform distribution has a twelfth of its width squared.
    return float((shares * ((centres - mean) ** 2 + np.square(widths) / 12)).sum())


def _chi_square_tail(statistic: float, n_free: int) -> float:
    """Return the upper tail of the chi-square distribution: Abramowitz and Stegun (1964), 26.4.4 and 26.4.5."""
    if n_free < 1 or statistic <= 0:
        return 1.0
    half = statistic / 2
    # A finite sum: of half-integer powers with erfc in front for odd degrees of freedom, of whole ones for even.
    powers = [(0.5 if n_free % 2 else 0.0) + step for step in range(n_free // 2)]
    terms = [math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers]
    return min((math.erfc(math.sqrt(half)) if n_free % 2 else 0.0) + sum(terms), 1.0)


def _poisson_tail(n_rows: float, expected: float) -> float:
    """Return the probability of at least so many rows."""
    # A hundred terms from the observed count on; expected counts here are below 5, so the rest is nothing.
    first = math.floor(n_rows)
    terms = (math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(first, first + 100))
    return 1.0 if first < 1 else min(sum(terms), 1.0)


def _kolmogorov_tail(value: float) -> float:
    """Return the upper tail of Kolmogorov's distribution; its sum converges where it is not about 1."""
    if value < 0.2:
        return 1.0
    # 2 * sum of (-1) ** (j - 1) * exp(-2 j² x²), which converges fast where x is not near 0.
    terms = [(1 if j % 2 else -1) * math.exp(-2 * (j * value) ** 2) for j in range(1, 101)]
    return min(max(2 * sum(terms), 0.0), 1.0)
