"""A difference and its confidence interval, without the arrays that it was computed from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A difference ``challenger - other`` in the metric's unit, and its confidence interval."""

    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.difference:+.4g} [{self.low:+.4g}, {self.high:+.4g}]"
