"""The sentence of a reason, by the stage whose rule it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import gate, monitoring, packaging, retraining, rollout, splitting, validation

__all__ = ["sentence_of", "sentences_of"]

Words = Callable[[Reason], str]

_STAGES: Mapping[str, Words] = {
    "gate": gate.say,
    "monitoring": monitoring.say,
    "packaging": packaging.say,
    "retraining": retraining.say,
    "rollout": rollout.say,
    "splitting": splitting.say,
    "validation": validation.say,
}
_SOURCES: Mapping[str, Words] = {**gate.SOURCES, **retraining.SOURCES}
"""What stands before a reason that a decision repeats, by where it has it from."""


def sentence_of(reason: Reason) -> str:
    """Return what a reason says, as one or a few sentences for people."""
    before = _SOURCES[reason.source](reason) if reason.source else ""
    return before + (reason.recorded or _STAGES[reason.stage](reason))


def sentences_of(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return what each of several reasons says."""
    return tuple(map(sentence_of, reasons))
