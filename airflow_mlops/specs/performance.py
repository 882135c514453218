"""How well a model does in production: where the labels are, and when it counts as worse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Duration, Spec, time_setting
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.evaluate import Thresholds, check_metrics

__all__ = ["MIN_BLOCKS", "PerformanceSlices", "PerformanceSpec", "WindowRule"]

_DAY = timedelta(days=1)

MIN_BLOCKS = 10
"""With fewer blocks to resample than this, an interval is narrower than what it stands for."""


class WindowRule(Spec):
    """In how many of the last windows a model has to be worse before it counts as degraded.

    :param n: so many of them.
    :param of: the windows that are looked at, the newest and those before it.
    """

    n: int = Field(default=2, ge=1)
    of: int = Field(default=3, ge=1, le=52)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.n > self.of:
            raise ValueError(f"{self.n} of {self.of} windows can never be worse")
        return self


class PerformanceSlices(Spec):
    """What no slice of the predictions may lose.

    :param columns: features whose values (of numbers: intervals) are slices.
    :param min_rows: slices with fewer labelled rows than this, or fewer held-out ones, are left out.
    :param change_threshold: by how much a slice may be worse than at the blessing, in the unit of the first metric, by
        intervals that hold for all slices at once; ``None``: slices are shown and not judged.
    """

    columns: tuple[str, ...] = Field(min_length=1)
    min_rows: int = Field(default=200, ge=10)
    change_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @field_validator("columns", mode="before")
    @classmethod
    def _as_names(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names


class PerformanceSpec(Spec):
    """How labels find their predictions, what is computed of them, and when a model counts as worse.

    :param labels: where the labels come from: a dataset like any other. Times without a zone are in UTC.
    :param label: its column with the truth. Null means that it is not known yet.
    :param id: its column with the ``mlops_id`` of the prediction that a label belongs to.
    :param entity: in place of ``id``: columns that labels and features have in common.
    :param tolerance: how long after the prediction its label lies at most, by ``labels.timestamp``. It is asked for by
        ``entity``, and by an ``id`` that is scored again and again: a prediction's label is the first one that is not
        before it. Without it, the newest prediction of an id counts.
    :param known_at: the labels' column that says when each became known. Of several labels of one prediction the last
        one known counts; without it, labels that differ contradict each other, and none of them counts.
    :param maturity: how long a label takes. A prediction counts once it is so old, whether its label has come or not.
    :param window: what is judged at once, by ``mlops_at`` in UTC: whole days.
    :param windows: in how many windows a model has to be worse.
    :param metrics: thresholds by metric, as a gate has them. ``value_threshold`` is held against the value,
        ``change_threshold`` against the difference to the evaluation at the blessing, ``baseline_change_threshold``
        against the naive baseline's (for the first metric: 0 by default). The changes are allowances, 0 or more; the
        baseline's may be negative. A model is worse when the whole interval is beyond a threshold.
    :param positive_class: as in the gate.
    :param slices: what no slice may lose; ``None``: there are none.
    :param min_rows: with fewer labelled rows than this, a window is not judged.
    :param min_coverage: the share of a window's predictions that must be labelled, and must be answers, for it to be
        judged.
    :param confidence_level: of the two-sided intervals.
    :param block_length: rows that are resampled together, more than 1 where neighbours in time depend on each other.
        ``min_rows`` has to be ten times as many at least.
    :param estimate: whether a classifier's performance is also estimated without labels.
    """

    labels: DatasetSpec
    label: str = Field(min_length=1)
    id: str | None = None
    entity: tuple[str, ...] = ()
    tolerance: timedelta | None = Field(default=None, gt=timedelta(0))
    known_at: str | None = None
    maturity: timedelta = Field(ge=timedelta(0))
    window: Duration = timedelta(days=7)
    windows: WindowRule = Field(default_factory=WindowRule)
    metrics: dict[str, Thresholds] = Field(min_length=1)
    positive_class: str | int | bool | None = None
    slices: PerformanceSlices | None = None
    min_rows: int = Field(default=200, ge=2)
    min_coverage: float = Field(default=0.8, gt=0, le=1)
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    block_length: int = Field(default=1, ge=1)
    estimate: bool = True

    @field_validator("tolerance", "maturity", mode="before")
    @classmethod
    def _have_a_unit(cls, value: Any) -> Any:
        return time_setting(value)

    @field_validator("window")
    @classmethod
    def _is_of_whole_days(cls, window: timedelta) -> timedelta:
        if window % _DAY:
            raise ValueError("a window is of whole days, such as P7D")
        return window

    @field_validator("metrics")
    @classmethod
    def _are_known(cls, metrics: dict[str, Thresholds]) -> dict[str, Thresholds]:
        for name, thresholds in metrics.items():
            for setting in ("change_threshold", "relative_change_threshold"):
                margin = getattr(thresholds, setting)
                if margin is not None and margin < 0:
                    raise ValueError(
                        f"{name}.{setting} {margin:g}: a model that does as well as at its blessing would count as "
                        f"worse; give 0 or more"
                    )
        return check_metrics(metrics)

    @model_validator(mode="after")
    def _finds_labels_one_way(self) -> Self:
        if (self.id is None) != bool(self.entity):
            raise ValueError("say how a label finds its prediction: by `id`, or by `entity`")
        if self.entity and self.tolerance is None:
            raise ValueError("`entity` needs `tolerance`: how long after the prediction its label lies")
        if self.tolerance is not None and not self.labels.timestamp:
            raise ValueError("`tolerance` needs `labels.timestamp`, the time that a label is of")
        if self.labels.since_last_snapshot or self.labels.features or self.labels.feature_tables:
            raise ValueError(
                "`labels` are read as they are and all of them each time: leave out `since_last_snapshot`, `features` "
                "and `feature_tables`"
            )
        return self

    @model_validator(mode="after")
    def _has_enough_blocks(self) -> Self:
        needed = MIN_BLOCKS * self.block_length
        if self.block_length > 1 and self.min_rows < needed:
            raise ValueError(
                f"`block_length` {self.block_length} needs `min_rows` of at least {needed}, ten blocks; min_rows is "
                f"{self.min_rows}"
            )
        return self

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of the labels that are read."""
        named = (self.label, self.id, *self.entity, self.known_at, self.labels.timestamp if self.tolerance else None)
        return tuple(dict.fromkeys(name for name in named if name))
