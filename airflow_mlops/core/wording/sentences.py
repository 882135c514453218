"""The sentence of a reason, by the stage whose rule it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import monitoring, rollout
from airflow_mlops.core.wording._texts import Words

__all__ = ["sentence_of", "sentences_of"]

_STAGES: Mapping[str, Words] = {
    "monitoring": monitoring.say,
    "rollout": rollout.say,
}


def sentence_of(reason: Reason) -> str:
    """Return what a reason says, as one or a few sentences for people."""
    return reason.recorded or _STAGES[reason.stage](reason)


def sentences_of(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return what each of several reasons says."""
    return tuple(map(sentence_of, reasons))
