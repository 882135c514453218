"""Rules that the columns, their types and the number of rows answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from airflow_mlops.adapters.ibis_rules._columns import NUMBERS, CantBeAnsweredError, Kind, Rows
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.adapters.ibis_rules._question import Answer, Compiler, Facts, Question, between, bounds_of, flag
from airflow_mlops.adapters.ibis_rules._row_rules import is_known_type, is_text, row_question
from airflow_mlops.core.reason import Scalar

__all__ = ["TABLE_RULES"]

Arguments = Mapping[str, Any]

_N_NAMES, _N_DIFFERING = 20, 10


def _known(is_met: bool, kind: str, observed: Scalar = None, **facts: Any) -> Question:
    answer = Answer(is_met=is_met, kind=kind, observed=observed, facts=facts)
    return Question(answer=lambda _facts, _engine: answer)


def _exists(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    name, index, names = kwargs["column"], kwargs["column_index"], rows.schema.names
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        raise CantBeAnsweredError(f"column_index is {index!r}")
    if not index:  # 0 counts as not given in Great Expectations
        return _known(name in names, "columns", columns=names[:_N_NAMES], n_columns=len(names))
    found = names[index] if -len(names) <= index < len(names) else None
    return _known(found == name, "column_at", found)


def _column_set(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    wanted = _names_in(kwargs["column_set"])
    missing = [name for name in wanted if name not in rows.schema.names]
    more = [name for name in rows.schema.names if name not in wanted]
    is_met = not missing and not (more and flag(kwargs["exact_match"]))
    return _known(is_met, "column_set", **_named("missing", missing), **_named("unexpected", more))


def _column_order(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    wanted, names = _names_in(kwargs["column_list"]), rows.schema.names
    differing = [found for found, name in zip(names, wanted, strict=False) if found != name]
    return _known(names == list(wanted), "column_order", len(names), **_named("displaced", differing))


def _named(what: str, names: Sequence[str]) -> dict[str, Any]:
    return {what: list(names[:_N_DIFFERING]), f"n_{what}": len(names)}


def _names_in(names: object) -> Sequence[str]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise CantBeAnsweredError("the columns are no list of names")
    return names


def _column_count(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    n_columns = len(rows.schema.names)
    return _known(all(between(n_columns, *_numbers(kwargs))), "figure", n_columns)


def _row_count(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    limits, n_rows = _numbers(kwargs), rows.table.count()

    def answer(facts: Facts, _: Engine) -> Answer:
        return Answer(is_met=all(between(facts[n_rows], *limits)), kind="figure", observed=int(facts[n_rows]))

    return Question(aggregates=(n_rows,), answer=answer)


def _numbers(kwargs: Arguments) -> tuple[Any, Any, bool, bool]:
    """Return the bounds of a count, of which ``value`` is both."""
    low, high, strict_min, strict_max = bounds_of(
        {"min_value": kwargs["value"], "max_value": kwargs["value"]} if "value" in kwargs else kwargs
    )
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, int | float | None):
            raise CantBeAnsweredError(f"{bound!r} is no number")
    return low, high, strict_min, strict_max


def _type(rows: Rows, kwargs: Arguments, engine: Engine) -> Question:
    """Compare with the schema's type. In pandas integers with a missing value would be floats."""
    name = kwargs["column"]
    kind = rows.kind_of(name, *NUMBERS, Kind.BOOLEAN, Kind.TEXT, Kind.DATE, Kind.TIMESTAMP)
    if kind is Kind.TEXT:
        return row_question(is_text)(rows, kwargs, engine)
    wanted = [kwargs["type_"]] if "type_" in kwargs else kwargs["type_list"]
    if not isinstance(wanted, list | tuple) or not all(is_known_type(each) for each in wanted):
        raise CantBeAnsweredError("a type that only pandas knows")
    found = rows.schema.field(name).type
    actual = np.dtype("datetime64[ns]").type if kind in (Kind.DATE, Kind.TIMESTAMP) else found.to_pandas_dtype()
    is_met = any(_numpy_type(each) is actual or (each.lower() == "bool" and kind is Kind.BOOLEAN) for each in wanted)
    return _known(is_met, "figure", str(found))


def _numpy_type(name: str) -> Any:
    try:
        return np.dtype(name).type
    except TypeError:
        return None


TABLE_RULES: Mapping[str, Compiler] = {
    "expect_column_to_exist": _exists,
    "expect_table_columns_to_match_set": _column_set,
    "expect_table_columns_to_match_ordered_list": _column_order,
    "expect_table_column_count_to_be_between": _column_count,
    "expect_table_column_count_to_equal": _column_count,
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
    "expect_column_values_to_be_of_type": _type,
    "expect_column_values_to_be_in_type_list": _type,
}
"""Rules that are not about values."""
