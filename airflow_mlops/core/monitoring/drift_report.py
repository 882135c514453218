"""What a drift check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from airflow_mlops.core.reason import Reason, as_reasons
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
    :param reasons: which ones, and what came and went beside them; empty where it has not drifted.
    """

    name: str
    kind: ColumnKind = ColumnKind.FEATURE
    statistics: dict[str, float]
    p_values: dict[str, float] = field(default_factory=dict)
    importance: float = 0.0
    is_drifted: bool
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DriftReport(Value):
    """Rows that the champion was not trained on, against those that it was trained on.

    :param current_digest: of the snapshot that the rows are from; empty where they are from the inference log.
    :param reference_digest: of the snapshot, or of the training part, that they are compared with.
    :param window_start: rows of this time and before did not count; ``None``: no bound.
    :param domain_score: how well a classifier tells old rows from new ones, as an area under the ROC curve: 0.5 is not
        at all. ``None``: it was not asked.
    """

    schema_version: ClassVar[int] = 2

    model_name: str
    status: DriftStatus
    reasons: tuple[Reason, ...]
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

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Read version 1, in which reasons were sentences."""
        columns = fields.get("columns") or ()
        columns = list(map(_upgrade_column, columns)) if isinstance(columns, list | tuple) else columns
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="monitoring"), "columns": columns}


def _upgrade_column(column: Any) -> Any:
    """Return a column of version 1, whose reason was one text; what is damaged is left for the check of the types."""
    if not isinstance(column, dict) or "reason" not in column:
        return column
    known = {name: value for name, value in column.items() if name != "reason"}
    return {**known, "reasons": as_reasons([column["reason"]] if column["reason"] else [], stage="monitoring")}
