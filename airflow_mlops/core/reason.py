"""What one rule found, in numbers: the common form of all verdicts, from which words are made where people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_mlops.core.stats.interval import Interval

__all__ = ["Reason", "as_reasons"]

Scalar = bool | int | float | str | None


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
    :param observed: what was found, in the unit of the subject.
    :param required: what the setting requires, in the same unit.
    :param interval: of the difference to what the subject is compared with.
    :param n: the number of rows, units, or whatever else was counted for it.
    :param facts: what else the sentence says: with what it was compared, and how; JSON, small.
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
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded: str = ""


def as_reasons(documents: Sequence[Any], *, stage: str) -> list[Any]:
    """Return reasons as they are; a sentence, which older documents have in their place, as a reason that quotes it.

    :param documents: what stands under ``reasons`` in a stored document.
    :param stage: whose reasons they are.
    """
    return [
        {"stage": stage, "rule": "recorded", "recorded": each} if isinstance(each, str) else each for each in documents
    ]
