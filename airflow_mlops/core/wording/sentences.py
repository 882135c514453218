"""The sentence of a reason, by the stage whose rule it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_mlops.core.reason import Reason

__all__ = ["sentence_of"]

Words = Callable[[Reason], str]

_STAGES: Mapping[str, Words] = {}


def sentence_of(reason: Reason) -> str:
    """Return what a reason says, as one or a few sentences for people."""
    if reason.recorded:
        return reason.recorded
    return _STAGES[reason.stage](reason)
