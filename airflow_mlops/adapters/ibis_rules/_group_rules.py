"""Rules about how often values occur: one grouped query for each column, which spills when it grows large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis

from airflow_mlops.adapters.ibis_rules._columns import (
    NUMBERS,
    POSITION,
    CantBeAnsweredError,
    Kind,
    Rows,
    literals_of,
    shown,
)
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.adapters.ibis_rules._question import Answer, Compiler, Facts, Question, flag
from airflow_mlops.adapters.ibis_rules._row_rules import answer_of_rows, considered_columns, mostly_of
from airflow_mlops.adapters.ibis_rules._value_rules import decide_between, number_bounds

__all__ = ["GROUP_RULES", "UNIQUE_RULES", "repeats"]

Arguments = Mapping[str, Any]
_COUNT = "how often the value occurs"  # no name that a column is likely to have
_EQUAL_ANYWHERE = tuple(kind for kind in Kind if kind is not Kind.OTHER)


def _unique(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    names, considered = _unique_columns(rows, kwargs)
    groups, mostly, n_rows = _groups(rows, names, considered), mostly_of(kwargs), rows.table.count()
    repeated = groups.filter(groups[_COUNT] > 1)
    bad = repeated.select(*names).order_by(list(names)).limit(3)

    def answer(facts: Facts, engine: Engine) -> Answer:
        _, n_looked_at, n_repeated = engine.fetch_one(_summary(groups))
        return answer_of_rows(facts[n_rows], n_looked_at or 0, n_repeated or 0, mostly, bad)

    return Question(aggregates=(n_rows,), answer=answer)


def _unique_columns(rows: Rows, kwargs: Arguments) -> tuple[tuple[str, ...], Any]:
    """Return the columns that must be unique together, and which rows count."""
    names = (kwargs["column"],) if "column" in kwargs else kwargs["column_list"]
    if not isinstance(names, list | tuple) or not names or len(set(names)) < len(names):
        raise CantBeAnsweredError("column_list is no list of different columns")
    for name in names:
        rows.kind_of(name, *_EQUAL_ANYWHERE)
    considered = rows.present(names) if "column" in kwargs else considered_columns(rows, names, kwargs["ignore_row_if"])
    return tuple(names), considered


def repeats(rows: Rows, kwargs: Arguments) -> Any:
    """Return whether a row repeats values that an earlier row has. The first of them is not to blame."""
    names, considered = _unique_columns(rows, kwargs)
    keys = [_comparable(rows, name) for name in names]
    first = rows.table[POSITION].min().over(ibis.window(group_by=keys))
    later = rows.table[POSITION] > first
    # Rows that do not count are in groups of their own: their keys are missing where those of others are not.
    return later if considered is None else considered & later


def _comparable(rows: Rows, name: str) -> Any:
    """Return a column in which all that is missing is alike."""
    column = rows.table[name]
    return rows.missing(name).ifelse(ibis.null(column.type()), column) if rows.kinds[name] is Kind.FLOAT else column


def _groups(rows: Rows, names: Sequence[str], considered: Any) -> Any:
    table = rows.table if considered is None else rows.table.filter(considered)
    return table.group_by(**{name: _comparable(rows, name) for name in names}).aggregate(**{_COUNT: table.count()})


def _summary(groups: Any) -> Any:
    """Ask how many values there are, how many rows have one, and how many rows share theirs with others."""
    return groups.aggregate(
        n_values=groups.count(), n_rows=groups[_COUNT].sum(), n_repeated=groups[_COUNT].sum(where=groups[_COUNT] > 1)
    )


def _column_groups(rows: Rows, column: str) -> Any:
    rows.kind_of(column, *_EQUAL_ANYWHERE)
    return _groups(rows, [column], rows.present([column]))


def _value_count(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    limits, groups = number_bounds(kwargs), _column_groups(rows, kwargs["column"])
    return Question(answer=lambda _facts, engine: decide_between(engine.fetch_one(_summary(groups))[0], limits))


def _value_share(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    limits, groups = number_bounds(kwargs), _column_groups(rows, kwargs["column"])

    def answer(_facts: Facts, engine: Engine) -> Answer:
        n_values, n_rows, _n_repeated = engine.fetch_one(_summary(groups))
        return decide_between(n_values / n_rows if n_rows else 0, limits)

    return Question(answer=answer)


def _distinct(*, all_in_set: bool, whole_set: bool) -> Compiler:
    """Make the compiler of a rule that compares the different values of a column with a set."""

    def compile_rule(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
        column = kwargs["column"]
        values, n_other = literals_of(kwargs["value_set"], rows.kind_of(column))
        groups = _column_groups(rows, column)
        inside = groups[column].isin(values) if values else ibis.literal(False)
        counted = groups.aggregate(n_values=groups.count(), n_inside=groups.count(where=inside))
        outside = groups.filter(~inside).select(column).order_by(column).limit(3)

        def answer(_facts: Facts, engine: Engine) -> Answer:
            n_values, n_inside = engine.fetch_one(counted)
            n_outside, n_absent = n_values - n_inside, len(values) + n_other - n_inside
            return Answer(
                is_met=not (all_in_set and n_outside) and not (whole_set and n_absent),
                kind="distinct",
                facts={"n_outside": n_outside, "n_absent": n_absent},
                bad=outside if all_in_set and n_outside else None,
            )

        return Question(answer=answer)

    return compile_rule


def _most_common(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    column, ties_okay = kwargs["column"], flag(kwargs["ties_okay"])
    values, _n_other = literals_of(kwargs["value_set"], rows.kind_of(column, *NUMBERS, Kind.TEXT))
    groups = _column_groups(rows, column)
    inside = groups[column].isin(values) if values else ibis.literal(False)
    # Values by how often they occur: the first row has all that share the first place, and how many are in the set.
    by_count = groups.group_by(_COUNT).aggregate(
        n_values=groups.count(), n_inside=groups.count(where=inside), one=groups[column].min()
    )
    most = by_count.order_by(by_count[_COUNT].desc()).limit(1)

    def answer(_facts: Facts, engine: Engine) -> Answer:
        found = engine.fetch(most)
        if not found:
            return Answer(is_met=False, kind="no_value")
        n, n_values, n_inside, one = found[0]
        is_met = n_inside > 0 if ties_okay else n_values == n_inside == 1
        return Answer(is_met=is_met, kind="most_common", observed=shown(one), facts={"n_values": n_values, "n_rows": n})

    return Question(answer=answer)


UNIQUE_RULES: Mapping[str, Compiler] = {
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _unique,
}
"""Rules that a row breaks together with others."""

GROUP_RULES: Mapping[str, Compiler] = {
    **UNIQUE_RULES,
    "expect_column_unique_value_count_to_be_between": _value_count,
    "expect_column_proportion_of_unique_values_to_be_between": _value_share,
    "expect_column_distinct_values_to_be_in_set": _distinct(all_in_set=True, whole_set=False),
    "expect_column_distinct_values_to_equal_set": _distinct(all_in_set=True, whole_set=True),
    "expect_column_distinct_values_to_contain_set": _distinct(all_in_set=False, whole_set=True),
    "expect_column_most_common_value_to_be_in_set": _most_common,
}
"""Rules that need the values of a column and how often each occurs."""
