"""What one rule found, in numbers: the common form of all verdicts, from which words are made where people read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from airflow_mlops.core.stats.interval import Interval

__all__ = ["Reason", "Scalar", "as_reasons"]


def _to_json(value: Any) -> Any:
    """Return a value with what JSON has no word for as ``{"float": "nan"}``, which can't be taken for a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {name: _to_json(each) for name, each in value.items()}
    return [_to_json(each) for each in value] if isinstance(value, list | tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        if list(value) == ["float"] and value["float"] in ("nan", "inf", "-inf"):
            return float(value["float"])
        return {name: _from_json(each) for name, each in value.items()}
    return [_from_json(each) for each in value] if isinstance(value, list) else value


Scalar = Annotated[bool | int | float | str | None, BeforeValidator(_from_json), PlainSerializer(_to_json)]
Facts = Annotated[Mapping[str, Any], BeforeValidator(_from_json), PlainSerializer(_to_json)]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One rule, what it was held against, and what it found.

    The sentence that says it is made by :func:`airflow_mlops.core.wording.sentence_of`, of nothing but this.

    :param stage: whose rule it is: ``gate``, ``packaging``, ``validation``, ``monitoring``, ``retraining``, ...
    :param rule: which of the stage's rules, such as ``change_threshold`` or ``cold_start``.
    :param verdict: what the rule says, in the stage's own words, such as ``REJECTED`` or ``DRIFTED``; empty: it is a
        remark that decides nothing.
    :param subject: what was judged: a metric, a column, a slice, a check; empty: the whole.
    :param setting: the path of the setting that requires it, such as ``gate.metrics.roc_auc.change_threshold``.
    :param observed: what was found, in the unit of the subject; of a rule about a difference, the difference.
    :param required: what the setting requires, in the same unit.
    :param interval: of what was found, or of its difference to what the subject is compared with.
    :param n: the number of rows, units, or whatever else was counted for it.
    :param facts: what else the sentence says: with what it was compared, and how; JSON, small, and no tuples in it.
    :param because: what it repeats or sums up: reasons of other rules, of its own stage or of another.
    :param source: where a decision that repeats the reason of another stage has it from, such as ``performance``; it
        stands before the sentence. Empty: the reason is the decision's own.
    :param recorded: the sentence of a document that has no numbers, as versions before 0.1.0 wrote it.
    """

    stage: str
    rule: str
    verdict: str = ""
    subject: str = ""
    setting: str = ""
    observed: Scalar = None
    required: Scalar = None
    interval: Interval | None = None
    n: int | None = None
    facts: Facts = field(default_factory=dict, hash=False)
    because: tuple[Reason, ...] = ()
    source: str = ""
    recorded: str = ""


def as_reasons(documents: Any, *, stage: str) -> Any:
    """Return reasons as they are; a sentence, which older documents have in their place, as a reason that quotes it.

    :param documents: what stands under ``reasons`` in a stored document; what is no list is returned as it is, for
        whoever checks the types.
    :param stage: whose reasons they are.
    """
    if not isinstance(documents, list | tuple):
        return documents
    return [
        {"stage": stage, "rule": "recorded", "recorded": each} if isinstance(each, str) else each for each in documents
    ]
