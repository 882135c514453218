"""Rules about one figure of a column: its minimum, its mean, its quantiles."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from airflow_mlops.adapters.ibis_rules._columns import (
    NUMBERS,
    CantBeAnsweredError,
    CantBeCheckedError,
    Kind,
    Rows,
    moment,
    number,
    shown,
)
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.adapters.ibis_rules._order import OrderStatistics
from airflow_mlops.adapters.ibis_rules._question import Answer, Compiler, Facts, Question, between, bounds_of

__all__ = ["VALUE_RULES", "decide_between", "number_bounds"]

Arguments = Mapping[str, Any]
_NAIVE = (Kind.DATE, Kind.TIMESTAMP)


def _figure(name: str) -> Compiler:
    """Make the compiler of a rule that one aggregate answers."""

    def compile_rule(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
        column = kwargs["column"]
        kind = rows.kind_of(column)
        if name not in ("min", "max"):
            _require_numbers(rows, column)
        rows.kind_of(column, *NUMBERS, *_NAIVE)
        limits = number_bounds(kwargs) if kind in NUMBERS else _moment_bounds(kwargs, kind)
        values, present = rows.table[column], rows.present([column])
        options = {"how": "sample"} if name == "std" else {}
        figure = getattr(values, name)(where=present, **options)

        def answer(facts: Facts, _: Engine) -> Answer:
            found = facts[figure]
            return decide_between(0 if name == "sum" and found is None else found, limits)

        return Question(aggregates=(figure,), answer=answer)

    return compile_rule


def _require_numbers(rows: Rows, column: str) -> None:
    if rows.kind_of(column) is Kind.TEXT:
        raise CantBeCheckedError(f"column {column!r} holds text, and the rule is about numbers")
    rows.kind_of(column, *NUMBERS)


def number_bounds(kwargs: Arguments) -> tuple[Any, Any, bool, bool]:
    """Return the bounds of a figure.

    :raises CantBeAnsweredError: when they are no numbers.
    """
    low, high, strict_min, strict_max = bounds_of(kwargs)
    for bound in (low, high):
        if bound is not None:
            number(bound)
    return low, high, strict_min, strict_max


def _moment_bounds(kwargs: Arguments, kind: Kind) -> tuple[Any, Any, bool, bool]:
    low, high, strict_min, strict_max = bounds_of(kwargs)
    if low is None and high is None:
        raise CantBeAnsweredError("no bounds")
    low, high = (None if bound is None else moment(bound, kind) for bound in (low, high))
    return low, high, strict_min, strict_max


def decide_between(figure: Any, limits: tuple[Any, Any, bool, bool]) -> Answer:
    """Compare a figure with its bounds; no figure (nothing there to compute it from) breaks every rule."""
    if figure is None or (isinstance(figure, float) and math.isnan(figure)):
        return Answer(is_met=False, kind="no_value")
    if isinstance(figure, dt.date) and not isinstance(figure, dt.datetime):
        figure = dt.datetime.combine(figure, dt.time())
    shown_figure = figure if isinstance(figure, bool | int | float) else shown(figure, 300)
    return Answer(is_met=all(between(figure, *limits)), kind="figure", observed=shown_figure)


def _median(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    _require_numbers(rows, kwargs["column"])
    limits, order = number_bounds(kwargs), OrderStatistics(rows, kwargs["column"])

    def answer(facts: Facts, engine: Engine) -> Answer:
        n_values = order.n_values(facts)
        if n_values == 0:
            return decide_between(None, limits)
        middle = order.values_at(sorted({(n_values - 1) // 2, n_values // 2}), facts, engine)
        with np.errstate(invalid="ignore"):  # the mean of both infinities is NaN
            return decide_between(float(np.mean(list(middle.values()))), limits)

    return Question(aggregates=order.aggregates, answer=answer)


def _quantiles(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    _require_numbers(rows, kwargs["column"])
    shares, ranges = _ranges(kwargs["quantile_ranges"])
    method = kwargs["allow_relative_error"] or "nearest"
    if method not in ("nearest", "lower", "higher"):
        raise CantBeAnsweredError("a quantile between two values")
    order = OrderStatistics(rows, kwargs["column"])

    def answer(facts: Facts, engine: Engine) -> Answer:
        n_values = order.n_values(facts)
        if n_values == 0:
            return Answer(is_met=False, kind="no_value")
        ranks = [_rank(share, n_values, method) for share in shares]
        known = order.values_at(sorted(set(ranks)), facts, engine)
        found = [known[rank] for rank in ranks]
        is_met = all(_lies_in(value, *limits) for value, limits in zip(found, ranges, strict=True))
        quantiles = [list(pair) for pair in zip(shares, found, strict=True)]
        return Answer(is_met=is_met, kind="quantiles", facts={"quantiles": quantiles})

    return Question(aggregates=order.aggregates, answer=answer)


def _ranges(settings: object) -> tuple[list[float], list[tuple[float, float]]]:
    if not isinstance(settings, Mapping) or set(settings) != {"quantiles", "value_ranges"}:
        raise CantBeAnsweredError("quantile_ranges are no mapping of quantiles and value_ranges")
    shares, ranges = settings["quantiles"], settings["value_ranges"]
    if not isinstance(shares, list | tuple) or not isinstance(ranges, list | tuple) or len(shares) != len(ranges):
        raise CantBeAnsweredError("not one range for each quantile")
    limits = []
    for share, pair in zip(shares, ranges, strict=True):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise CantBeAnsweredError("a range that is no pair")
        number_bounds({"min_value": pair[0], "max_value": pair[1]})
        number(share)
        if not 0 <= share <= 1:
            raise CantBeAnsweredError("a quantile that is no share")
        limits.append((-math.inf if pair[0] is None else pair[0], math.inf if pair[1] is None else pair[1]))
    return [float(share) for share in shares], limits


def _rank(share: float, n_values: int, method: str) -> int:
    """Return which of the sorted values is a quantile, by numpy's rule (``numpy.percentile``, by way of per cent)."""
    position = (n_values - 1) * (share * 100 / 100)
    if method == "nearest":
        return int(np.around(position))
    return int(np.floor(position) if method == "lower" else np.ceil(position))


def _lies_in(value: float, low: float, high: float) -> bool:
    """Tell whether a quantile is in its range, or as close to its ends as Great Expectations lets it be."""
    return bool(low <= value <= high or np.isclose(value, low, rtol=1e-4) or np.isclose(value, high, rtol=1e-4))


def _share_of_values(rows: Rows, kwargs: Arguments, _: Engine) -> Question:
    rows.kind_of(kwargs["column"])
    limits = number_bounds(kwargs)
    n_rows, n_values = rows.table.count(), rows.table.count(where=rows.present([kwargs["column"]]))

    def answer(facts: Facts, _: Engine) -> Answer:
        return decide_between(facts[n_values] / facts[n_rows] if facts[n_rows] else 0, limits)

    return Question(aggregates=(n_rows, n_values), answer=answer)


VALUE_RULES: Mapping[str, Compiler] = {
    "expect_column_min_to_be_between": _figure("min"),
    "expect_column_max_to_be_between": _figure("max"),
    "expect_column_mean_to_be_between": _figure("mean"),
    "expect_column_sum_to_be_between": _figure("sum"),
    "expect_column_stdev_to_be_between": _figure("std"),
    "expect_column_median_to_be_between": _median,
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_proportion_of_non_null_values_to_be_between": _share_of_values,
}
"""Rules that compare one figure with its bounds."""
