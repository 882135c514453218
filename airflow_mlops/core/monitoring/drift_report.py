"""What a drift check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from airflow_mlops.core.values import Value

__all__ = ["ColumnDrift", "ColumnKind", "DriftReport", "DriftStatus"]


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
