"""A Great Expectations suite inferred from data that is known to be good, for a person to read and to edit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile, is_moment, may_be_key
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.errors import SpecError

__all__ = ["Tolerances", "propose_suite"]

MAX_DOMAIN = 50
"""A text column with more values than this has no domain that a person would read."""

UNIQUE = "expect_column_values_to_be_unique"


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far other data may be from what the suite is inferred from.

    :param range_fraction: of the range of a column, by which its values may lie outside. A column without negative
        values stays without.
    :param missing_fraction: of the rows, by which more values may be missing in a column that has missing ones. One
        that has none stays without.
    :param new_category_fraction: of the rows, which may have a value that is not in the domain.
    :param size_factor: how many times more rows, or fewer.
    :raises SpecError: when a fraction is below 0, the factor is below 1, or one of them is not finite.
    """

    range_fraction: float = 0.5
    missing_fraction: float = 0.05
    new_category_fraction: float = 0.05
    size_factor: float = 10.0

    def __post_init__(self) -> None:
        fractions = (self.range_fraction, self.missing_fraction, self.new_category_fraction)
        if not all(math.isfinite(fraction) and fraction >= 0 for fraction in fractions):
            raise SpecError(f"A tolerance must be a number from 0 on, found {self}. Nothing was inferred.")
        if not (math.isfinite(self.size_factor) and self.size_factor >= 1):
            raise SpecError(f"size_factor must be a number from 1 on, found {self.size_factor}. Nothing was inferred.")


def propose_suite(
    snapshot: DatasetSnapshot, profile: DatasetProfile, tolerances: Tolerances | None = None
) -> dict[str, Any]:
    """Return a suite that fits a snapshot, in Great Expectations' JSON.

    It says which columns there are and their types, which may be empty, the domains of text, the ranges of numbers,
    which columns are keys, and how many rows there are. Whether a column is a key is a guess, since a profile counts
    different values only about: see on the rows whether it holds.

    :param profile: the snapshot's.
    """
    allowed = tolerances or Tolerances()
    names = [column.name for column in snapshot.columns]
    expectations = [
        _expect("expect_table_columns_to_match_set", column_set=names, exact_match=True),
        _expect(
            "expect_table_row_count_to_be_between",
            min_value=math.ceil(snapshot.n_rows / allowed.size_factor),
            max_value=math.floor(snapshot.n_rows * allowed.size_factor),
        ),
    ]
    profiles = {column.name: column for column in profile.columns}
    for column in snapshot.columns:
        expectations += _of_column(column, profiles.get(column.name), snapshot.n_rows, allowed)
    if not any(entry["type"] == UNIQUE for entry in expectations) and len(names) > 1:
        expectations.append(_expect("expect_compound_columns_to_be_unique", column_list=names))
    return {"name": snapshot.dataset, "expectations": expectations, "meta": {"inferred_from": snapshot.digest}}


def _of_column(
    column: Column, profile: ColumnProfile | None, n_rows: int, allowed: Tolerances
) -> Iterator[dict[str, Any]]:
    if column.type == "double":  # a batch in which all numbers are whole is one of integers
        yield _expect("expect_column_values_to_be_in_type_list", column=column.name, type_list=["float64", "int64"])
    elif (type_name := _type_name(column.type)) is not None:
        yield _expect("expect_column_values_to_be_of_type", column=column.name, type_=type_name)
    if profile is None:
        return
    n_missing = profile.n_null + profile.n_nan
    if n_missing == n_rows:
        return
    if n_missing == 0:
        yield _expect("expect_column_values_to_not_be_null", column=column.name)
    elif (mostly := 1 - n_missing / n_rows - allowed.missing_fraction) > 0:
        yield _expect(
            "expect_column_values_to_not_be_null", column=column.name, mostly=_readable(Decimal(mostly), ROUND_FLOOR)
        )
    is_key = _is_key(profile, column)
    if is_key:
        yield _expect(UNIQUE, column=column.name)
    if profile.edges is not None and not is_key:
        yield from _range(profile, allowed)
    elif profile.edges is None and not is_moment(column.type):
        yield from _domain(profile, is_key, allowed)


def _is_key(profile: ColumnProfile, column: Column) -> bool:
    """Return whether every row may have a value of its own that is no measurement."""
    is_measured = column.type.startswith(("float", "double", "half", "decimal"))
    return profile.n_null == 0 and not is_measured and may_be_key(profile)


def _range(profile: ColumnProfile, allowed: Tolerances) -> Iterator[dict[str, Any]]:
    if not isinstance(profile.minimum, (int, float)) or not isinstance(profile.maximum, (int, float)):
        return
    low, high = Decimal(profile.minimum), Decimal(profile.maximum)  # the difference of two floats may be infinite
    if not low.is_finite() or not high.is_finite():
        return
    margin = (high - low or abs(high) or Decimal(1)) * Decimal(allowed.range_fraction)
    minimum = max(Decimal(0), low - margin) if low >= 0 else low - margin
    maximum = min(Decimal(0), high + margin) if high <= 0 and low < 0 else high + margin
    bounds = {"min_value": _readable(minimum, ROUND_FLOOR), "max_value": _readable(maximum, ROUND_CEILING)}
    if any(bound is not None for bound in bounds.values()):
        yield _expect("expect_column_values_to_be_between", column=profile.name, **bounds)


def _domain(profile: ColumnProfile, is_key: bool, allowed: Tolerances) -> Iterator[dict[str, Any]]:
    values = sorted(name.removeprefix("=") for name in profile.counts if name not in ("null", OTHER))
    if OTHER not in profile.counts and len(values) <= MAX_DOMAIN and not is_key and profile.max_length is not None:
        yield _expect(
            "expect_column_values_to_be_in_set",
            column=profile.name,
            value_set=values,
            mostly=_readable(1 - Decimal(allowed.new_category_fraction), ROUND_HALF_EVEN),
        )
    elif profile.max_length:
        longest = math.ceil(profile.max_length * (1 + allowed.range_fraction))
        yield _expect(
            "expect_column_value_lengths_to_be_between",
            column=profile.name,
            min_value=1 if profile.min_length else 0,
            max_value=longest,
        )


def _type_name(arrow_type: str) -> str | None:
    """Return pandas' name of a type, which is what Great Expectations compares with."""
    names = {"float": "float32", "bool": "bool", "string": "str"}
    if arrow_type.startswith(("int", "uint")):
        return arrow_type
    return names.get(arrow_type)


def _readable(number: Decimal, rounding: str) -> float | int | None:
    """Return the number with three significant digits; ``None`` when that is more than a float can hold."""
    if not number:
        return 0
    unit = Decimal(1).scaleb(number.adjusted() - 2)
    value = float(number.quantize(unit, rounding=rounding))
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _expect(rule: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": rule, "kwargs": kwargs, "severity": "critical"}
