"""The values of a batch against those that the champion was trained on, by what its profile says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile, bin_labels, may_be_key
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.findings import Finding, Severity, make_finding
from airflow_mlops.specs.validate import PolicySpec, ValidationSpec

__all__ = ["bins_to_count", "compare_values", "is_all_missing", "known_values", "near_range", "new_categories"]

_found = partial(Reason, stage="validation")
_N_NAMES = 5
_LARGEST = math.nextafter(math.inf, 0)
_FREQUENT_FRACTION = 0.5
"""Of the champion's rows, how many have one of its frequent values where those are taken to say what is usual."""

_UNKNOWN_FRACTION = 0.1
"""Of the rows that should have a frequent value: with fewer, nearly all values of a batch are unknown."""

_MIN_EXPECTED = 20


def bins_to_count(
    *, reference: DatasetProfile, current: DatasetProfile, validation: ValidationSpec
) -> tuple[ColumnProfile, ...]:
    """Return the bins that a batch is to be counted in, where its own profile leaves open how many rows are new.

    There are none for a batch whose values are all known: then nothing has to be read again.
    """
    now = {column.name: column for column in current.columns}
    found = [_bins(column, now[column.name], validation) for column in reference.columns if column.name in now]
    return tuple(bins for bins in found if bins is not None)


def compare_values(
    reference: ColumnProfile, current: ColumnProfile, counted: ColumnProfile | None, validation: ValidationSpec
) -> list[Finding]:
    """Compare a column of a batch with the champion's: is it empty, out of order, out of range, of new categories.

    :param counted: the batch in the column's :func:`bins_to_count`; ``None`` where it has none.
    """
    policy = validation.policy
    if is_all_missing(reference):
        return []
    if is_all_missing(current):
        empty = _found(
            rule="column_empty",
            subject=reference.name,
            observed=current.n_rows,
            n=current.n_rows,
            facts={"n_reference": reference.n_rows - _n_missing(reference)},
        )
        return [make_finding(empty, policy)]
    if reference.is_ordered and current.is_ordered is False:
        order = _found(rule="timestamp_order", subject=reference.name, facts={"has_champion": True})
        return [make_finding(order, policy)]
    if reference.edges is None and current.edges is None:
        counts = counted.counts if counted else current.counts
        return new_categories("category_new", reference, current, counts=counts, validation=validation)
    if counted is None:
        return []
    return _out_of_range(reference, current, counted, validation) or _new_numbers(reference, current, counted, policy)


def near_range(reference: ColumnProfile) -> tuple[float, float] | None:
    """Return the range of a column's values, widened on each side by its own width, but not below zero if none was.

    :returns: ``None`` for what has no range that a next batch must be near to: what is no number, and running numbers.

    >>> near_range(ColumnProfile(name="x", edges=(0.0, 3.0), minimum=0.0, maximum=3.0))
    (0.0, 6.0)
    """
    found = _widened(reference, 1.0)
    if found is None:
        return None
    has_negative = isinstance(reference.minimum, float | int) and reference.minimum < 0
    return (found[0] if has_negative else max(0.0, found[0])), found[1]


def _widened(reference: ColumnProfile, widths: float) -> tuple[float, float] | None:
    low, high = reference.minimum, reference.maximum
    if reference.edges is None or not isinstance(low, float | int) or not isinstance(high, float | int):
        return None
    if may_be_key(reference):
        return None
    margin = min(_LARGEST, widths * (high - low))
    return max(-_LARGEST, low - margin), min(_LARGEST, high + margin)


def known_values(reference: ColumnProfile) -> tuple[float, ...]:
    """Return a column's values where they are few whole numbers, as codes are; empty for all else."""
    values = sorted(float(text) for text, _ in reference.top_values) if reference.edges is not None else []
    is_all = len(values) == reference.n_distinct and 2 * len(values) <= reference.n_rows - _n_missing(reference)
    return tuple(values) if is_all and all(value.is_integer() for value in values) else ()


def new_categories(
    rule: str,
    reference: ColumnProfile,
    current: ColumnProfile,
    *,
    counts: Mapping[str, int],
    validation: ValidationSpec,
) -> list[Finding]:
    """Find categories that the reference does not have; where it has too many to know, whether nearly all are new.

    :param counts: the rows of ``current`` by category; what the reference knows has a count of its own in them.
    """
    named = [name for name in reference.counts if name.startswith("=")]
    if not named or may_be_key(reference):
        return []
    n_known = sum(counts.get(name, 0) for name in named)
    n_new = sum(counts.values()) - counts.get("null", 0) - n_known
    if not n_new:
        return []
    n_rows, most = current.n_rows, validation.max_new_category_fraction
    severity = Severity.CRITICAL if n_new > most * n_rows else Severity.WARNING
    known = {"known": [name.removeprefix("=") for name in named[:_N_NAMES]], "n_known": len(named)}
    found = _found(
        rule=rule,
        subject=reference.name,
        setting="validation.max_new_category_fraction",
        observed=n_new / n_rows,
        required=most,
        n=n_rows,
        facts={"kind": "new", "n_rows": n_new, **known},
    )
    if OTHER in reference.counts:
        usual = sum(reference.counts[name] for name in named) / (reference.n_rows - reference.n_null)
        n_expected = usual * (n_known + n_new)
        if usual < _FREQUENT_FRACTION or n_expected < _MIN_EXPECTED or n_known >= _UNKNOWN_FRACTION * n_expected:
            return []
        # Of too many categories to know them all, the frequent ones tell: the batch must have some of them.
        found = _found(
            rule=rule,
            subject=reference.name,
            observed=n_known / n_rows,
            required=usual,
            n=n_rows,
            facts={"kind": "frequent", "n_rows": n_known, **known},
        )
    new = [name for name in current.counts if name.startswith("=") and name not in reference.counts]
    examples = [name.removeprefix("=") for name in sorted(new, key=lambda name: -current.counts[name])]
    return [make_finding(found, validation.policy, severity, examples)]


def is_all_missing(column: ColumnProfile) -> bool:
    """Return whether no row has a value."""
    return _n_missing(column) == column.n_rows


def _bins(reference: ColumnProfile, current: ColumnProfile, validation: ValidationSpec) -> ColumnProfile | None:
    if is_all_missing(reference) or (reference.edges is None) != (current.edges is None):
        return None
    if reference.edges is None:
        return reference if OTHER in current.counts and any(name.startswith("=") for name in reference.counts) else None
    near, far = near_range(reference), _widened(reference, validation.max_range_factor)
    known = known_values(reference)
    if near is None or far is None or not _may_be_new(current, near, known):
        return None
    inner = (near[0], math.nextafter(near[1], math.inf), far[0], math.nextafter(far[1], math.inf))
    edges = {*inner, *known, *(math.nextafter(value, math.inf) for value in known)}
    return ColumnProfile(name=reference.name, edges=tuple(sorted(edge for edge in edges if math.isfinite(edge))))


def _may_be_new(current: ColumnProfile, near: tuple[float, float], known: Sequence[float]) -> bool:
    """Return whether a batch may have numbers out of a range, or others than those that are known."""
    if _n_infinite(current):
        return True
    if not isinstance(current.minimum, float | int) or not isinstance(current.maximum, float | int):
        return False
    present = {float(text) for text, _ in current.top_values}
    is_subset = len(present) == current.n_distinct and present <= set(known)
    return current.minimum < near[0] or current.maximum > near[1] or bool(known and not is_subset)


def _out_of_range(
    reference: ColumnProfile, current: ColumnProfile, counted: ColumnProfile, validation: ValidationSpec
) -> list[Finding]:
    near, far = near_range(reference), _widened(reference, validation.max_range_factor)
    if near is None or far is None:
        return []
    n_infinite = 0 if _n_infinite(reference) else _n_infinite(current)
    n_out, n_far = (n_infinite + _n_outside(counted, bounds) for bounds in (near, far))
    if not n_out:
        return []
    has_range = far != (reference.minimum, reference.maximum)  # one value has none that could be left by far
    is_many = has_range and n_far > validation.max_new_category_fraction * current.n_rows
    found = _found(
        rule="value_range",
        subject=reference.name,
        observed=n_out / current.n_rows,
        required=0,
        n=current.n_rows,
        facts={
            "n_rows": n_out,
            "range": list(near),
            "champion": [reference.minimum, reference.maximum],
        },
    )
    odd = [bound for bound in (current.minimum, current.maximum) if not _is_within(bound, near)]
    examples = [f"{bound:.17g}" for bound in odd] or [name for name in ("-inf", "+inf") if current.counts.get(name)]
    severity = Severity.CRITICAL if is_many else Severity.WARNING
    return [make_finding(found, validation.policy, severity, examples)]


def _new_numbers(
    reference: ColumnProfile, current: ColumnProfile, counted: ColumnProfile, policy: PolicySpec
) -> list[Finding]:
    """Find whole numbers that the reference, which has few, does not have; a next month is one, so they never halt."""
    known = known_values(reference)
    n_known = sum(counted.counts.get(label, 0) for label in _labels_of(known))
    n_new = current.n_rows - _n_missing(current) - _n_infinite(current) - n_known
    if not known or not n_new:
        return []
    found = _found(
        rule="category_new",
        subject=reference.name,
        observed=n_new / current.n_rows,
        required=0,
        n=current.n_rows,
        facts={"kind": "numbers", "n_rows": n_new, "known": list(known[:_N_NAMES]), "n_known": len(known)},
    )
    shown = [text for text, _ in current.top_values] or [f"{current.minimum:.17g}", f"{current.maximum:.17g}"]
    examples = [text for text in shown if float(text) not in known]
    return [make_finding(found, policy, Severity.WARNING, examples)]


def _labels_of(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(bin_labels((value, math.nextafter(value, math.inf)))[0] for value in values)


def _n_outside(counted: ColumnProfile, bounds: tuple[float, float]) -> int:
    """Count the finite values outside of bounds that edges of the bins lie at."""
    edges = counted.edges or ()
    labels = zip(bin_labels(edges), pairwise(edges), strict=True)
    out = sum(counted.counts.get(label, 0) for label, (low, _) in labels if not _is_within(low, bounds))
    return out + counted.counts.get("below", 0) + counted.counts.get("above", 0)


def _is_within(value: float | str | None, bounds: tuple[float, float]) -> bool:
    return isinstance(value, float | int) and bounds[0] <= value <= bounds[1]


def _n_infinite(column: ColumnProfile) -> int:
    return column.counts.get("-inf", 0) + column.counts.get("+inf", 0)


def _n_missing(column: ColumnProfile) -> int:
    return column.n_null + column.n_nan
