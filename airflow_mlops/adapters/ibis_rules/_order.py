"""Exact medians and quantiles in bounded memory.

An engine's own quantile holds all values. Here a histogram says in which bucket the wanted value lies, and only
that bucket is read, or cut into buckets again: a scan or two of one column, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis

from airflow_mlops.adapters.ibis_rules._columns import Kind, Rows
from airflow_mlops.adapters.ibis_rules._engine import Engine
from airflow_mlops.adapters.ibis_rules._question import Facts

__all__ = ["OrderStatistics"]

_BUCKETS = 4096
_READ_AT_ONCE = 50_000
"""So many values may be read; more are counted in buckets first."""


class OrderStatistics:
    """The values of a column of numbers by their rank."""

    def __init__(self, rows: Rows, column: str) -> None:
        values, present = rows.table[column], rows.present([column])
        if rows.kinds[column] is Kind.INTEGER:
            below = above = ibis.literal(False)
        else:
            below, above = values == float("-inf"), values == float("inf")
        # Infinities lie in no bucket: they are counted, and known by their rank.
        finite = present & ~below & ~above
        self._values = rows.table.filter(finite).select(value=values)
        self._n_values, self._n_below = rows.table.count(where=present), rows.table.count(where=present & below)
        self._n_finite = rows.table.count(where=finite)
        self._low, self._high = values.min(where=finite), values.max(where=finite)

    @property
    def aggregates(self) -> tuple[Any, ...]:
        """What has to be known before a value is asked for."""
        return self._n_values, self._n_below, self._n_finite, self._low, self._high

    def n_values(self, facts: Facts) -> int:
        """Return how many values are not missing."""
        return int(facts[self._n_values])

    def values_at(self, ranks: Sequence[int], facts: Facts, engine: Engine) -> dict[int, Any]:
        """Return the values at ranks, 0 being the smallest value's.

        :param ranks: ascending, each below ``n_values``.
        """
        n_below, n_finite = facts[self._n_below], facts[self._n_finite]
        inside = [rank - n_below for rank in ranks if n_below <= rank < n_below + n_finite]
        found = self._among(inside, n_finite, facts[self._low], facts[self._high], engine)
        infinite = {rank: float("-inf") if rank < n_below else float("inf") for rank in ranks}
        return infinite | {rank + n_below: value for rank, value in found.items()}

    def _among(self, ranks: Sequence[int], n_values: int, low: Any, high: Any, engine: Engine) -> dict[int, Any]:
        """Return the values at ranks among the ``n_values`` values that lie from ``low`` to ``high``."""
        if not ranks or low == high:
            return dict.fromkeys(ranks, low)
        value = self._values["value"]
        part = self._values.filter((value >= low) & (value <= high))
        if n_values <= _READ_AT_ONCE:
            ordered = [row[0] for row in engine.fetch(part.order_by("value"))]
            return {rank: ordered[rank] for rank in ranks}
        width = float(high) / 4 - float(low) / 4  # a quarter, which can't be infinite
        if width == 0:  # numbers so small that they differ by less than can be told
            return {rank: engine.fetch_one(part.order_by("value").limit(1, offset=rank))[0] for rank in ranks}
        bucket = (((part["value"].cast("float64") / 4 - float(low) / 4) / width) * (_BUCKETS - 1)).floor()
        counted = part.group_by(bucket=bucket).aggregate(
            n=part.count(), low=part["value"].min(), high=part["value"].max()
        )
        found: dict[int, Any] = {}
        start = 0
        for _, n, first, last in engine.fetch(counted.order_by("bucket")):
            here = [rank - start for rank in ranks if start <= rank < start + n]
            found |= {rank + start: each for rank, each in self._among(here, n, first, last, engine).items()}
            start += n
        return found
