"""Rules about single rows: which rows a rule looks at, and which of them meet it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np

from airflow_mlops.adapters.ibis_rules._columns import (
    NUMBERS,
    CantBeAnsweredError,
    CantBeCheckedError,
    Kind,
    Rows,
    literals_of,
    moment,
    number,
)
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.adapters.ibis_rules._question import Answer, Facts, Question, between, bounds_of, flag
from airflow_mlops.adapters.ibis_rules._regexes import to_re2

__all__ = [
    "ROW_RULES",
    "RowRule",
    "answer_of_rows",
    "considered_columns",
    "is_known_type",
    "is_text",
    "mostly_of",
    "row_question",
]

Arguments = Mapping[str, Any]
_MOMENTS = (Kind.DATE, Kind.TIMESTAMP, Kind.ZONED_TIMESTAMP)


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """A rule as two conditions on a row.

    :param columns: what to show of a row that breaks it; none: there is nothing to see.
    :param considered: whether the rule looks at the row; ``None``: it looks at all.
    :param met: whether the row meets it; never NULL where the rule looks.
    """

    columns: tuple[str, ...]
    considered: Any
    met: Any

    @property
    def broken(self) -> Any:
        """Whether the row breaks the rule."""
        return ~self.met if self.considered is None else self.considered & ~self.met


def row_question(make: Callable[[Rows, Arguments, Engine], RowRule]) -> Callable[[Rows, Arguments, Engine], Question]:
    """Turn a rule about single rows into a question of counts."""

    def compile_rule(rows: Rows, kwargs: Arguments, engine: Engine) -> Question:
        rule, mostly = make(rows, kwargs, engine), mostly_of(kwargs)
        n_rows, n_broken = rows.table.count(), rows.table.count(where=rule.broken)
        n_looked_at = n_rows if rule.considered is None else rows.table.count(where=rule.considered)
        bad = rows.table.filter(rule.broken).select(*dict.fromkeys(rule.columns)) if rule.columns else None

        def answer(facts: Facts, _: Engine) -> Answer:
            return answer_of_rows(facts[n_rows], facts[n_looked_at], facts[n_broken], mostly, bad)

        return Question(aggregates=(n_rows, n_broken, n_looked_at), answer=answer)

    return compile_rule


def answer_of_rows(n_rows: int, n_looked_at: int, n_broken: int, mostly: float, bad: Any) -> Answer:
    """Decide as Great Expectations does: on the share of the values that are there, and true where there is none."""
    is_met = n_looked_at == 0 or (n_looked_at - n_broken) / n_looked_at >= mostly
    return Answer(
        is_met=is_met,
        kind="values",
        observed=n_broken / n_looked_at if n_looked_at else None,
        facts={"n_broken": n_broken},
        n_elements=n_rows,
        n_missing=n_rows - n_looked_at,
        n_unexpected=n_broken,
        bad=bad if n_broken else None,
    )


def mostly_of(kwargs: Arguments) -> float:
    """Return the share of the values that must meet the rule.

    :raises CantBeAnsweredError: when it is no share.
    """
    mostly = kwargs.get("mostly", 1)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
        raise CantBeAnsweredError(f"mostly is {mostly!r}")
    return float(mostly)


def considered_columns(rows: Rows, names: Sequence[str], ignore_row_if: object) -> Any:
    """Return which rows a rule about several columns looks at."""
    if ignore_row_if in ("both_values_are_missing", "all_values_are_missing"):
        return ~ibis.and_(*[rows.missing(name) for name in names])
    if ignore_row_if in ("either_value_is_missing", "any_value_is_missing"):
        return rows.present(names)
    if ignore_row_if in ("neither", "never"):
        return None
    raise CantBeAnsweredError(f"ignore_row_if is {ignore_row_if!r}")


def _not_null(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    rows.kind_of(kwargs["column"])
    return RowRule(columns=(), considered=None, met=~rows.missing(kwargs["column"]))


def _null(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    rows.kind_of(kwargs["column"])
    return RowRule(columns=(kwargs["column"],), considered=None, met=rows.missing(kwargs["column"]))


def _between(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    name = kwargs["column"]
    low, high, strict_min, strict_max = bounds_of(kwargs)
    given = [bound for bound in (low, high) if bound is not None]
    kind = rows.kind_of(name)
    if kind is Kind.TEXT and given and all(_is_number(bound) for bound in given):
        raise CantBeCheckedError(f"column {name!r} holds text, and the bounds are numbers")
    rows.kind_of(name, *NUMBERS, *_MOMENTS)
    limits = [number(bound) if kind in NUMBERS else ibis.literal(moment(bound, kind)) for bound in given]
    if not given or (len(given) == 2 and given[0] > given[1]):
        raise CantBeAnsweredError("no bounds, or the wrong way round")
    low, high = (limits.pop(0) if bound is not None else None for bound in (low, high))
    column = rows.table[name]
    if kind is Kind.ZONED_TIMESTAMP:  # DuckDB does not compare nanoseconds with a zone
        column = column.cast("timestamp('UTC', 6)")
    met = ibis.and_(*between(column, low, high, strict_min, strict_max))
    return RowRule(columns=(name,), considered=rows.present([name]), met=met)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_set(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    name = kwargs["column"]
    values, _n_other = literals_of(kwargs["value_set"], rows.kind_of(name))
    met = rows.table[name].isin(values) if values else ibis.literal(False)
    return RowRule(columns=(name,), considered=rows.present([name]), met=met)


def _not_in_set(rows: Rows, kwargs: Arguments, engine: Engine) -> RowRule:
    rule = _in_set(rows, kwargs, engine)
    return RowRule(columns=rule.columns, considered=rule.considered, met=~rule.met)


def _matches(rows: Rows, name: str, patterns: object, engine: Engine) -> list[Any]:
    kind = rows.kind_of(name)
    if kind is not Kind.TEXT or not isinstance(patterns, list | tuple) or not patterns:
        raise CantBeAnsweredError(f"column {name!r} holds {kind}")
    translated = [to_re2(pattern) if isinstance(pattern, str) else None for pattern in patterns]
    usable = [pattern for pattern in translated if pattern is not None and engine.takes_regex(pattern)]
    if len(usable) < len(translated):
        raise CantBeAnsweredError("a pattern means something else to the engine")
    return [rows.table[name].re_search(pattern) for pattern in usable]


def _regex(rows: Rows, kwargs: Arguments, engine: Engine) -> RowRule:
    (met,) = _matches(rows, kwargs["column"], [kwargs["regex"]], engine)
    return RowRule(columns=(kwargs["column"],), considered=rows.present([kwargs["column"]]), met=met)


def _not_regex(rows: Rows, kwargs: Arguments, engine: Engine) -> RowRule:
    (found,) = _matches(rows, kwargs["column"], [kwargs["regex"]], engine)
    return RowRule(columns=(kwargs["column"],), considered=rows.present([kwargs["column"]]), met=~found)


def _regex_list(rows: Rows, kwargs: Arguments, engine: Engine) -> RowRule:
    found = _matches(rows, kwargs["column"], kwargs["regex_list"], engine)
    if kwargs["match_on"] not in ("any", "all"):
        raise CantBeAnsweredError(f"match_on is {kwargs['match_on']!r}")
    met = ibis.or_(*found) if kwargs["match_on"] == "any" else ibis.and_(*found)
    return RowRule(columns=(kwargs["column"],), considered=rows.present([kwargs["column"]]), met=met)


def _not_regex_list(rows: Rows, kwargs: Arguments, engine: Engine) -> RowRule:
    found = _matches(rows, kwargs["column"], kwargs["regex_list"], engine)
    return RowRule(columns=(kwargs["column"],), considered=rows.present([kwargs["column"]]), met=~ibis.or_(*found))


def _lengths(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    name = kwargs["column"]
    rows.kind_of(name, Kind.TEXT)  # Great Expectations measures how Python writes other values
    low, high, strict_min, strict_max = bounds_of(kwargs)
    if low is None and high is None:
        raise CantBeAnsweredError("no bounds")
    low, high = (None if bound is None else number(bound) for bound in (low, high))
    met = ibis.and_(*between(rows.table[name].length(), low, high, strict_min, strict_max))
    return RowRule(columns=(name,), considered=rows.present([name]), met=met)


def _length(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    name = kwargs["column"]
    rows.kind_of(name, Kind.TEXT)
    met = rows.table[name].length() == number(kwargs["value"])
    return RowRule(columns=(name,), considered=rows.present([name]), met=met)


def _pair(rows: Rows, kwargs: Arguments) -> tuple[tuple[str, str], Any, Any]:
    names = (kwargs["column_A"], kwargs["column_B"])
    _require_alike(rows, names)
    considered = considered_columns(rows, names, kwargs["ignore_row_if"])
    return names, considered, rows.present(names)


def _require_alike(rows: Rows, names: Sequence[str]) -> None:
    """See that columns can be compared with each other, as numbers or as texts."""
    kinds = {rows.kind_of(name, *NUMBERS, *_MOMENTS, Kind.TEXT) for name in names}
    if not kinds <= set(NUMBERS) and len(kinds) > 1:
        raise CantBeAnsweredError("columns of different kinds")


def _equal(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    names, considered, both = _pair(rows, kwargs)
    met = both & (rows.table[names[0]] == rows.table[names[1]])
    return RowRule(columns=names, considered=considered, met=met.fill_null(False))


def _greater(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    names, considered, both = _pair(rows, kwargs)
    first, second = (rows.table[name] for name in names)
    met = both & (first >= second if flag(kwargs["or_equal"]) else first > second)
    return RowRule(columns=names, considered=considered, met=met.fill_null(False))


def _columns_list(kwargs: Arguments) -> tuple[str, ...]:
    names = kwargs["column_list"]
    if not isinstance(names, list | tuple) or len(set(names)) < len(names) or len(names) < 2:
        raise CantBeAnsweredError("column_list is no list of different columns")
    return tuple(names)


def _sum(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    names = _columns_list(kwargs)
    kinds = {rows.kind_of(name, *NUMBERS) for name in names}
    as_type = "int64" if kinds == {Kind.INTEGER} else "float64"
    terms = [rows.table[name].cast(as_type) for name in names]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    met = rows.present(names) & (total == number(kwargs["sum_total"]))
    considered = considered_columns(rows, names, kwargs["ignore_row_if"])
    return RowRule(columns=names, considered=considered, met=met.fill_null(False))


def _unique_within_record(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    names = _columns_list(kwargs)
    _require_alike(rows, names)
    same = []
    for one, other in itertools.combinations(names, 2):
        equal = (rows.present([one, other]) & (rows.table[one] == rows.table[other])).fill_null(False)
        same.append(equal | (rows.missing(one) & rows.missing(other)))  # two missing values are the same one
    considered = considered_columns(rows, names, kwargs["ignore_row_if"])
    return RowRule(columns=names, considered=considered, met=~ibis.or_(*same))


def is_text(rows: Rows, kwargs: Arguments, _: Engine) -> RowRule:
    """Return whether the values of a text column are of a Python type; other columns have the type of the schema."""
    name = kwargs["column"]
    wanted = [kwargs["type_"]] if "type_" in kwargs else kwargs["type_list"]
    rows.kind_of(name, Kind.TEXT)
    if not isinstance(wanted, list | tuple) or not all(is_known_type(each) for each in wanted):
        raise CantBeAnsweredError("a type that only pandas knows")
    if {"object", "object_", "O"} & set(wanted):
        raise CantBeAnsweredError("a type that is the whole column's in pandas")
    met = ibis.literal(bool({"str", "string_types"} & {each.lower() for each in wanted}))
    return RowRule(columns=(name,), considered=rows.present([name]), met=met)


def is_known_type(name: object) -> bool:
    if not isinstance(name, str):
        return False
    try:
        np.dtype(name)
    except TypeError:
        return name.lower() in ("string_types", "list", "dict", "none")
    return True


ROW_RULES: Mapping[str, Callable[[Rows, Arguments, Engine], RowRule]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": _not_regex,
    "expect_column_values_to_match_regex_list": _regex_list,
    "expect_column_values_to_not_match_regex_list": _not_regex_list,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _length,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_select_column_values_to_be_unique_within_record": _unique_within_record,
}
"""How to tell, of a single row, whether it breaks the rule."""
