from __future__ import annotations

import math
from itertools import pairwise

import pytest

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile
from airflow_mlops.core.validation.column_values import bins_to_count, compare_values, known_values, near_range
from airflow_mlops.core.validation.findings import Severity, Verdict
from airflow_mlops.specs.validate import ValidationSpec

SPEC = ValidationSpec(inferred=True)


def numbers(*values: float, top: bool = True) -> ColumnProfile:
    """Return the profile of a column of numbers, as a scan counts it."""
    finite = [value for value in values if math.isfinite(value)]
    distinct = sorted(set(finite))
    special = {"-inf": values.count(-math.inf), "+inf": values.count(math.inf)}
    return ColumnProfile(
        name="x",
        edges=(min(finite), max(finite)),
        counts={"all": len(finite), **special},
        n_distinct=len(distinct),
        minimum=min(finite),
        maximum=max(finite),
        top_values=tuple((f"{value:.17g}", finite.count(value)) for value in distinct) if top else (),
    )


def compare(reference: ColumnProfile, current: ColumnProfile, *values: float, validation: ValidationSpec = SPEC):
    """Compare, and count the batch's values in the bins that are asked for as the engine does."""
    profiles = [
        DatasetProfile(snapshot_digest="s", n_rows=each.n_rows, columns=(each,)) for each in (reference, current)
    ]
    bins = bins_to_count(reference=profiles[0], current=profiles[1], validation=validation)
    counted = _count(bins[0], values) if bins else None
    return compare_values(reference, current, counted, validation)


def _count(bins: ColumnProfile, values: tuple[float, ...]) -> ColumnProfile:
    edges = bins.edges or ()
    counts = {"below": sum(value < edges[0] for value in values), "above": sum(value > edges[-1] for value in values)}
    for low, high in pairwise(edges):
        last = high == edges[-1]
        label = f"[{low:.17g}, {high:.17g})"
        counts[label] = sum(low <= value < high or (last and value == high) for value in values)
    return ColumnProfile(name=bins.name, edges=edges, counts=counts)


def batch(reference: ColumnProfile, *values: float, **settings: float):
    finite = tuple(value for value in values if math.isfinite(value))
    spec = ValidationSpec(inferred=True, **settings)
    return compare(reference, numbers(*values, top=len(set(finite)) <= 20), *finite, validation=spec)


CODES = numbers(*[0, 1, 2, 3] * 25)
HEIGHTS = numbers(*[150 + i / 2 for i in range(100)], top=False)


def test_values_as_before_and_a_little_beyond_have_no_findings_and_nothing_to_count():
    assert batch(CODES, *[0, 1, 2, 3] * 5) == []
    assert batch(HEIGHTS, 120.5, 160, 240) == []


def test_a_negative_value_where_there_was_none_is_a_reason_to_retrain_and_never_more():
    ages = numbers(*[18, 90.5] * 50)
    assert [finding.examples for finding in batch(ages, -44, 30)] == [("-44",)]
    assert [finding.action for finding in batch(ages, *[-44] * 90, 30)] == [Verdict.RETRAIN]
    assert batch(numbers(*[-18, 90.5] * 50), -44, 30) == []


def test_an_absurd_value_is_a_reason_to_retrain_and_is_shown():
    (finding,) = batch(HEIGHTS, *[160.5] * 99, -123456789)
    assert (finding.severity, finding.action) == (Severity.WARNING, Verdict.RETRAIN)
    assert (finding.rule, finding.column, finding.examples) == ("value_range", "x", ("-123456789",))
    assert (finding.found.observed, finding.found.required, finding.found.n) == (0.01, 0, 100)
    assert finding.found.facts == {"n_rows": 1, "range": [100.5, 249.0], "champion": [150.0, 199.5]}


def test_many_values_far_beyond_halt_and_many_that_are_merely_beyond_do_not():
    (far,) = batch(HEIGHTS, *[1.6] * 50, *[160_000] * 50)
    assert (far.rule, far.action) == ("value_range", Verdict.HALT)
    assert far.examples == ("1.6000000000000001", "160000")
    (grown,) = batch(HEIGHTS, *[300 + i for i in range(100)])
    assert (grown.rule, grown.action) == ("value_range", Verdict.RETRAIN)
    (wide,) = batch(HEIGHTS, *[160_000] * 100, max_range_factor=10_000)
    assert wide.action is Verdict.RETRAIN


def test_an_infinity_is_out_of_every_range_that_had_none():
    (finding,) = batch(HEIGHTS, *[160.5] * 99, math.inf)
    assert (finding.rule, finding.examples) == ("value_range", ("+inf",))
    assert (finding.found.facts["n_rows"], finding.found.n) == (1, 100)
    assert batch(numbers(*HEIGHTS.edges, math.inf), 160.5, math.inf) == []


def test_a_code_that_was_never_seen_retrains_and_does_not_halt_since_a_next_month_is_one():
    (finding,) = batch(CODES, *[4] * 60, *[0] * 40)
    assert (finding.rule, finding.action) == ("category_new", Verdict.RETRAIN)
    assert (finding.column, finding.examples) == ("x", ("4",))
    assert (finding.found.observed, finding.found.n) == (0.6, 100)
    assert finding.found.facts == {"kind": "numbers", "n_rows": 60, "known": [0.0, 1.0, 2.0, 3.0], "n_known": 4}


def test_codes_among_many_others_are_counted_all_the_same():
    (finding,) = batch(CODES, *[i / 10 for i in range(60)])
    assert (finding.found.facts["kind"], finding.found.facts["n_rows"], finding.found.n) == ("numbers", 56, 60)
    assert finding.found.observed == 56 / 60


def test_many_absurd_codes_halt():
    (finding,) = batch(CODES, *[-123456789] * 20, *[0] * 80)
    assert (finding.rule, finding.action) == ("value_range", Verdict.HALT)


def test_running_numbers_go_on_and_amounts_that_happen_to_differ_do_not():
    running, amounts = numbers(*range(100), top=False), numbers(*range(0, 10_000_000, 100_000), top=False)
    assert near_range(running) is None
    assert batch(running, *range(5_000, 5_100)) == []
    assert [finding.rule for finding in batch(amounts, -(10**9), 0)] == ["value_range"]


def test_another_value_than_the_only_one_retrains_however_many_rows_have_it():
    (finding,) = batch(numbers(*[2.5] * 100), *[1e9] * 100)
    assert (finding.rule, finding.action) == ("value_range", Verdict.RETRAIN)


@pytest.mark.parametrize("values", [[1.5, 2.5] * 9, list(range(20)), [0]])
def test_measurements_and_values_that_each_row_has_for_itself_are_no_codes(values):
    assert known_values(numbers(*values)) == ()


def test_bounds_at_the_ends_of_what_a_float_holds_are_numbers():
    low, high = near_range(numbers(-1.7e308, 1.7e308, *[0.5] * 5))
    assert math.isfinite(low)
    assert math.isfinite(high)


def _categories(n_null: int = 0, **counts: int) -> ColumnProfile:
    found = {f"={name}": n for name, n in counts.items() if name != "rest"}
    rest = {OTHER: counts["rest"]} if "rest" in counts else {}
    null = {"null": n_null} if n_null else {}
    return ColumnProfile(name="x", counts={**found, **null, **rest}, n_distinct=len(found) + counts.get("rest", 0) // 2)


def test_known_categories_that_are_rare_in_a_batch_are_not_taken_for_new_ones():
    reference = _categories(a=50, b=50)
    current, counted = _categories(n=5, a=90, rest=105), ColumnProfile(name="x", counts={"=a": 90, "=b": 105, OTHER: 5})
    profiles = [
        DatasetProfile(snapshot_digest="s", n_rows=each.n_rows, columns=(each,)) for each in (reference, current)
    ]
    assert bins_to_count(reference=profiles[0], current=profiles[1], validation=SPEC) == (reference,)
    (finding,) = compare_values(reference, current, counted, SPEC)
    assert (finding.found.facts["n_rows"], finding.found.n, finding.action) == (5, 200, Verdict.RETRAIN)
    assert finding.examples == ("n",)


def test_a_batch_whose_values_are_nearly_all_unknown_halts_though_not_all_can_be_known():
    reference = _categories(a=400, b=400, rest=200)
    (finding,) = compare_values(reference, _categories(z=97, b=3), None, SPEC)
    assert (finding.rule, finding.action) == ("category_new", Verdict.HALT)
    found = finding.found
    assert (found.facts["kind"], found.observed, found.required, found.n) == ("frequent", 0.03, 0.8, 100)
    assert compare_values(reference, _categories(z=80, b=20), None, SPEC) == []
    assert compare_values(reference, _categories(z=9), None, SPEC) == []


def test_of_keys_and_of_columns_that_had_no_value_nothing_is_new():
    keys = ColumnProfile(name="x", counts={f"={i}": 1 for i in range(50)}, n_distinct=50)
    assert compare_values(keys, _categories(z=50), None, SPEC) == []
    assert compare_values(ColumnProfile(name="x", counts={"null": 9}), _categories(z=50), None, SPEC) == []
