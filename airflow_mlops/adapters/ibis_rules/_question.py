"""What is asked of the engine for one expectation, and what comes of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlops.adapters.ibis_rules._columns import CantBeAnsweredError, Rows
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.core.reason import Scalar

__all__ = ["Answer", "Compiler", "Facts", "Question", "between", "bounds_of", "flag"]


class Facts:
    """The values of aggregates, looked up by the aggregate itself."""

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self._values = values

    def __getitem__(self, aggregate: Any) -> Any:
        return self._values[aggregate.op()]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a check.

    :param kind: what was observed, as :mod:`airflow_mlops.core.wording.validation` knows it.
    :param observed: the figure, or the share of the values that break the rule.
    :param facts: what else was observed, as JSON.
    :param bad: the values that broke the rule, as a table of one or more columns; ``None`` if there are none to show.
    """

    is_met: bool
    kind: str
    observed: Scalar = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    n_elements: int | None = None
    n_missing: int | None = None
    n_unexpected: int | None = None
    bad: Any = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What one expectation needs to know.

    :param aggregates: Ibis aggregates of the rows; what several questions need is computed once.
    :param answer: called with their values, and with the engine for what is not one row.
    """

    aggregates: tuple[Any, ...] = ()
    answer: Callable[[Facts, Engine], Answer]


Compiler = Callable[[Rows, Mapping[str, Any], Engine], Question]
"""Makes the question of an expectation from its arguments, the defaults among them."""


def flag(value: object) -> bool:
    """Return a setting that is on or off, ``None`` being off.

    :raises CantBeAnsweredError: when it is something else.
    """
    if value is not None and not isinstance(value, bool):
        raise CantBeAnsweredError(f"{value!r} is neither true nor false")
    return bool(value)


def bounds_of(kwargs: Mapping[str, Any]) -> tuple[Any, Any, bool, bool]:
    """Return the smallest and the largest value that a rule allows, and whether each is itself left out."""
    strict_min, strict_max = flag(kwargs.get("strict_min")), flag(kwargs.get("strict_max"))
    return kwargs.get("min_value"), kwargs.get("max_value"), strict_min, strict_max


def between(value: Any, low: Any, high: Any, strict_min: bool, strict_max: bool) -> Any:
    """Compare with bounds of which one may be ``None``, in Python or in Ibis.

    :returns: a list of conditions that must all hold.
    """
    conditions = []
    if low is not None:
        conditions.append(value > low if strict_min else value >= low)
    if high is not None:
        conditions.append(value < high if strict_max else value <= high)
    return conditions
