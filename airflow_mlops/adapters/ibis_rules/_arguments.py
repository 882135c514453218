"""Which arguments the engine's rules take, and what they are when they are not given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlops.adapters.ibis_rules._columns import CantBeAnsweredError

__all__ = ["arguments_of", "column_of", "columns_of"]

_REQUIRED = object()
_COLUMN = {"column": _REQUIRED}
_MOSTLY = {**_COLUMN, "mostly": 1}
_BOUNDS = {"min_value": None, "max_value": None, "strict_min": False, "strict_max": False}
_SET = {"value_set": _REQUIRED}
_PAIR = {"column_A": _REQUIRED, "column_B": _REQUIRED, "mostly": 1, "ignore_row_if": "both_values_are_missing"}
_LIST = {"column_list": _REQUIRED, "mostly": 1, "ignore_row_if": "all_values_are_missing"}

_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "expect_column_distinct_values_to_be_in_set": {**_COLUMN, **_SET},
    "expect_column_distinct_values_to_contain_set": {**_COLUMN, **_SET},
    "expect_column_distinct_values_to_equal_set": {**_COLUMN, **_SET},
    "expect_column_max_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_mean_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_median_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_min_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_most_common_value_to_be_in_set": {**_COLUMN, **_SET, "ties_okay": None},
    "expect_column_pair_values_a_to_be_greater_than_b": {**_PAIR, "or_equal": None},
    "expect_column_pair_values_to_be_equal": _PAIR,
    "expect_column_proportion_of_non_null_values_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_proportion_of_unique_values_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_quantile_values_to_be_between": {
        **_COLUMN,
        "quantile_ranges": _REQUIRED,
        "allow_relative_error": False,
    },
    "expect_column_stdev_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_sum_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_to_exist": {**_COLUMN, "column_index": None},
    "expect_column_unique_value_count_to_be_between": {**_COLUMN, **_BOUNDS},
    "expect_column_value_lengths_to_be_between": {**_MOSTLY, **_BOUNDS},
    "expect_column_value_lengths_to_equal": {**_MOSTLY, "value": _REQUIRED},
    "expect_column_values_to_be_between": {**_MOSTLY, **_BOUNDS},
    "expect_column_values_to_be_in_set": {**_MOSTLY, **_SET},
    "expect_column_values_to_be_in_type_list": {**_MOSTLY, "type_list": _REQUIRED},
    "expect_column_values_to_be_null": _MOSTLY,
    "expect_column_values_to_be_of_type": {**_MOSTLY, "type_": _REQUIRED},
    "expect_column_values_to_be_unique": _MOSTLY,
    "expect_column_values_to_match_regex": {**_MOSTLY, "regex": _REQUIRED},
    "expect_column_values_to_match_regex_list": {**_MOSTLY, "regex_list": _REQUIRED, "match_on": "any"},
    "expect_column_values_to_not_be_in_set": {**_MOSTLY, **_SET},
    "expect_column_values_to_not_be_null": _MOSTLY,
    "expect_column_values_to_not_match_regex": {**_MOSTLY, "regex": _REQUIRED},
    "expect_column_values_to_not_match_regex_list": {**_MOSTLY, "regex_list": _REQUIRED},
    "expect_compound_columns_to_be_unique": _LIST,
    "expect_multicolumn_sum_to_equal": {**_LIST, "sum_total": _REQUIRED},
    "expect_select_column_values_to_be_unique_within_record": _LIST,
    "expect_table_column_count_to_be_between": _BOUNDS,
    "expect_table_column_count_to_equal": {"value": _REQUIRED},
    "expect_table_columns_to_match_ordered_list": {"column_list": _REQUIRED},
    "expect_table_columns_to_match_set": {"column_set": _REQUIRED, "exact_match": True},
    "expect_table_row_count_to_be_between": _BOUNDS,
    "expect_table_row_count_to_equal": {"value": _REQUIRED},
}
# Without a condition its parser says nothing.
_MEANINGLESS_WITHOUT_VALUE = ("row_condition", "condition_parser")


def arguments_of(expectation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an expectation's arguments, the defaults among them.

    :raises CantBeAnsweredError: when the rule, or one of its arguments, is not known here.
    """
    known = _ARGUMENTS.get(expectation["type"])
    given = dict(expectation.get("kwargs") or {})
    if known is None:
        raise CantBeAnsweredError("a rule that no engine takes")
    if given.get("row_condition") is None:
        given = {key: value for key, value in given.items() if key not in _MEANINGLESS_WITHOUT_VALUE}
    unknown = [key for key in given if key not in known]
    lacking = [key for key, default in known.items() if default is _REQUIRED and given.get(key) is None]
    if unknown or lacking:
        raise CantBeAnsweredError(f"arguments {unknown + lacking}")
    return {**known, **given}


def columns_of(expectation: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that an expectation needs; none for one that is about which columns there are.

    >>> columns_of({"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "a", "column_B": "b"}})
    ('a', 'b')
    """
    kwargs = expectation.get("kwargs") or {}
    if expectation["type"] == "expect_column_to_exist" or str(expectation["type"]).startswith("expect_table_"):
        return ()
    several = kwargs.get("column_list")
    names = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
    names += list(several) if isinstance(several, list | tuple) else []
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def column_of(expectation: Mapping[str, Any]) -> str | None:
    """Return what an expectation is about, as text: its column, or its columns; ``None``: the whole table."""
    name = (expectation.get("kwargs") or {}).get("column")
    return name if isinstance(name, str) else ", ".join(columns_of(expectation)) or None
