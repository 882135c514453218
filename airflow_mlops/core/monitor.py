"""What a drift check found, and whether to retrain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlops.core.values import Value

__all__ = ["ColumnDrift", "ColumnKind", "DriftReport", "DriftStatus", "RetrainDecision", "decide_retraining"]


class DriftStatus(StrEnum):
    """What a drift check found. Only STABLE means that nothing moved.

    INCOMPLETE: what could be measured did not move, but a column is gone or has become of another type.
    """

    DRIFTED = "DRIFTED"
    STABLE = "STABLE"
    INCOMPLETE = "INCOMPLETE"
    TOO_FEW_ROWS = "TOO_FEW_ROWS"
    NO_REFERENCE = "NO_REFERENCE"


class ColumnKind(StrEnum):
    """What a column is to the model."""

    FEATURE = "feature"
    TARGET = "target"
    PREDICTION = "prediction"


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """How far one column is from the reference.

    :param statistics: distances by name; ``psi`` and ``jensen_shannon`` without what sampling alone explains.
    :param p_values: the probability that chance explains the difference, by test, corrected for the number of columns.
    :param importance: its share of the model's reliance on all features, in [0, 1].
    :param is_drifted: whether a limit was reached.
    :param reason: which one, with numbers; empty where it has not drifted.
    """

    name: str
    kind: ColumnKind = ColumnKind.FEATURE
    statistics: dict[str, float]
    p_values: dict[str, float] = field(default_factory=dict)
    importance: float = 0.0
    is_drifted: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DriftReport(Value):
    """Rows that the champion did not learn from, against those that it learnt from.

    :param current_digest: of the snapshot that the rows are from; empty where they are from the inference log.
    :param reference_digest: of the snapshot, or of the training part, that they are compared with.
    :param window_start: rows of this moment and before did not count; ``None``: no bound.
    :param domain_score: how well a classifier tells old rows from new ones, as an area under the ROC curve: 0.5 is not
        at all. ``None``: it was not asked.
    """

    model_name: str
    status: DriftStatus
    reasons: tuple[str, ...]
    champion_version: int | None = None
    reference_digest: str = ""
    current_digest: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    n_reference: int = 0
    n_current: int = 0
    columns: tuple[ColumnDrift, ...] = ()
    domain_score: float | None = None
    report_uri: str = ""


@dataclass(frozen=True, kw_only=True)
class RetrainDecision(Value):
    """Whether to train, always with the reasons."""

    model_name: str
    should_retrain: bool
    reasons: tuple[str, ...]
    snapshot_digest: str
    fingerprint: str
    evidence: dict[str, Any] = field(default_factory=dict)
    run_id: str
    trigger: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.model_name}: {'retrain' if self.should_retrain else 'not retrained'}. " + " ".join(self.reasons)


def decide_retraining(
    *, force: bool, champion_version: int | None, concluded: str | None, shifts: Sequence[str] = ()
) -> tuple[bool, tuple[str, ...]]:
    """Decide whether this run trains.

    :param force: a person asks for it.
    :param concluded: how an earlier run with the same data, code and parameters ended; ``None`` if there
        is none.
    :param shifts: what a validation and a drift check found to have moved.
    :returns: the decision and its reasons.
    """
    if force:
        return True, ("Forced by the run's parameters.",)
    if concluded:
        text = f"Nothing new: data, code and parameters are those of {concluded}. Set force to train all the same."
        return False, (text,)
    if champion_version is None:
        return True, ("Cold start: there is no champion yet.",)
    return True, (f"Data, code or parameters changed since v{champion_version}.", *shifts)
