"""The sentence of a reason, by the stage whose rule it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording import gate, monitoring, packaging, retraining, rollout, splitting, validation
from airflow_mlops.core.wording._texts import UNTOLD, without_words

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
    """Return what a reason says, as one or a few sentences for people; never raises, whatever was stored."""
    try:
        said = reason.recorded or _STAGES[reason.stage](reason)
    except UNTOLD:
        said = f"{without_words(reason)}."
    try:
        return (_SOURCES[reason.source](reason) if reason.source else "") + said
    except UNTOLD:
        return f"{reason.source}: {said}"


def sentences_of(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return what each of several reasons says."""
    return tuple(map(sentence_of, reasons))
