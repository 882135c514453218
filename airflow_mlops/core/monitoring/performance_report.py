"""How well a model does in production, as late labels tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.specs.metrics import Direction

__all__ = [
    "Cohort",
    "LabelCounts",
    "MetricPerformance",
    "PerformanceReport",
    "PerformanceStatus",
    "PredictionCounts",
    "SlicePerformance",
    "WindowPerformance",
]


class PerformanceStatus(StrEnum):
    """What a performance check found. Only OK means that labels were there and show nothing worse.

    ===================== ===========================================================================================
    status                what
    ===================== ===========================================================================================
    ``OK``                enough mature labels, and no metric is shown to be worse than allowed
    ``DEGRADED``          shown to be worse than allowed: a window; or the model, in as many windows as it takes
    ``SUSPECT``           the newest window is worse, the model not yet in as many windows as it takes
    ``NOT_ENOUGH_LABELS`` too few labels, or too small a share of the predictions has one
    ``NO_PREDICTIONS``    nothing was asked of this version in the window
    ``NO_ANSWERS``        it was asked, and too often had no answer
    ``BAD_LABELS``        too many labels contradict each other or are none of the target's values
    ``BAD_CLOCK``         times lie in the future, or labels before their predictions
    ``UNDECIDED``         a metric can't be computed from the labels
    ``NO_CHAMPION``       there is no model to judge
    ===================== ===========================================================================================
    """

    OK = "OK"
    DEGRADED = "DEGRADED"
    SUSPECT = "SUSPECT"
    NOT_ENOUGH_LABELS = "NOT_ENOUGH_LABELS"
    NO_PREDICTIONS = "NO_PREDICTIONS"
    NO_ANSWERS = "NO_ANSWERS"
    BAD_LABELS = "BAD_LABELS"
    BAD_CLOCK = "BAD_CLOCK"
    UNDECIDED = "UNDECIDED"
    NO_CHAMPION = "NO_CHAMPION"


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """What the labels are like, over all of them.

    :param n_rows: how many there are.
    :param n_null: that say nothing yet.
    :param n_future: that became known after the check; they do not count yet.
    :param n_repeated: that say again what another label of the same prediction says, or correct it.
    :param n_changed: predictions whose labels differ and have a last one, which counts.
    :param n_contradicting: predictions whose last labels differ; none of them counts.
    :param n_unknown: predictions that labels are of and the log does not have.
    """

    n_rows: int = 0
    n_null: int = 0
    n_future: int = 0
    n_repeated: int = 0
    n_changed: int = 0
    n_contradicting: int = 0
    n_unknown: int = 0

    @property
    def n_predictions(self) -> int:
        """How many predictions the labels that are known are of, whether the log has them or not."""
        return self.n_rows - self.n_null - self.n_future - self.n_repeated


@dataclass(frozen=True, kw_only=True)
class PredictionCounts:
    """The predictions of a window, and how they turned out.

    :param n_predictions: all of them, each counted once.
    :param n_failed: that are no answer: null, or without the probability that a metric needs.
    :param n_labelled: answers whose truth is known.
    :param n_bad: answers whose labels contradict each other, or are none of the target's values.
    :param n_early: answers whose label was known before they were given.
    """

    n_predictions: int = 0
    n_failed: int = 0
    n_labelled: int = 0
    n_bad: int = 0
    n_early: int = 0

    @property
    def n_answers(self) -> int:
        """How many predictions are answers."""
        return self.n_predictions - self.n_failed

    @property
    def coverage(self) -> float:
        """The share of the answers whose truth is known; 0 where there are none."""
        return self.n_labelled / self.n_answers if self.n_answers else 0.0


@dataclass(frozen=True, kw_only=True)
class MetricPerformance:
    """One metric of a window.

    :param value: with its interval around it, as the differences have theirs.
    :param at_blessing: of the same version on the rows that were held out at its blessing.
    :param against_blessing: ``value - at_blessing``, of two samples.
    :param baseline: of the naive baseline on the rows of the window; ``None`` where there is none.
    :param against_baseline: ``value - baseline``, on the same rows.
    """

    metric: str
    direction: Direction
    value: Interval
    at_blessing: float
    against_blessing: Interval
    baseline: float | None = None
    against_baseline: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class SlicePerformance:
    """The first metric in a slice of a window.

    :param against_blessing: with an interval that holds for all slices of the window at once.
    """

    name: str
    n_rows: int
    value: float
    at_blessing: float
    against_blessing: Interval


@dataclass(frozen=True, kw_only=True)
class WindowPerformance:
    """A window of predictions, ``[start, end)`` in UTC.

    :param metrics: empty where the window is not judged.
    :param estimates: metrics as they are expected without looking at a label. They see no concept shift, and decide
        nothing.
    """

    start: datetime
    end: datetime
    status: PerformanceStatus
    reasons: tuple[Reason, ...]
    counts: PredictionCounts = PredictionCounts()
    metrics: tuple[MetricPerformance, ...] = ()
    slices: tuple[SlicePerformance, ...] = ()
    estimates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Predictions of one age, ``[start, end)`` in UTC.

    :param is_mature: whether their labels have had their time.
    :param values: metrics of those that are labelled. Labels that come early may be of another kind than all.
    """

    start: datetime
    end: datetime
    is_mature: bool
    counts: PredictionCounts
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PerformanceReport(Value):
    """How well a version does in production.

    :param checked_at: the time that the windows are counted back from.
    :param evidence_digest: of the evaluation that the version was blessed on.
    :param n_reference: held-out rows of that evaluation, which were scored again.
    :param baseline: what the naive baseline is.
    :param windows: the newest first.
    :param cohorts: by age, the oldest first, down to predictions whose labels are not due yet.
    :param recent_estimates: of the predictions whose labels are not due yet; as those of a window.
    :param labels_digest: of the labels' snapshot; empty where none has come.
    :param n_repeated: predictions that were logged more than once, of which the last answer counts.
    """

    schema_version: ClassVar[int] = 2

    model_name: str
    model_version: int | None
    status: PerformanceStatus
    reasons: tuple[Reason, ...]
    checked_at: datetime
    evidence_digest: str = ""
    n_reference: int = 0
    baseline: str = ""
    confidence_level: float = 0.95
    windows: tuple[WindowPerformance, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    recent_estimates: dict[str, float] = field(default_factory=dict)
    labels: LabelCounts = LabelCounts()
    labels_digest: str = ""
    n_repeated: int = 0
    report_uri: str = ""

    def __str__(self) -> str:
        version = "" if self.model_version is None else f" v{self.model_version}"
        return f"{self.model_name}{version}: {self.status}. " + " ".join(sentences_of(self.reasons))

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Read version 1, in which reasons were sentences."""
        windows = fields.get("windows") or ()
        windows = list(map(_upgrade_window, windows)) if isinstance(windows, list | tuple) else windows
        return {**fields, "reasons": as_reasons(fields.get("reasons"), stage="monitoring"), "windows": windows}


def _upgrade_window(window: Any) -> Any:
    """Return a window of version 1; what is damaged is left for the check of the types."""
    if not isinstance(window, dict):
        return window
    return {**window, "reasons": as_reasons(window.get("reasons"), stage="monitoring")}
