"""How the rows are split, and what may not be on both sides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, time_setting

__all__ = ["LeakageSpec", "SplitSpec"]


class LeakageSpec(Spec):
    """What counts as leakage: something that the model is trained on and will not have when it predicts.

    :param max_shared_row_fraction: of the held-out rows, how many may be in the training part too: equal in all
        columns but the timestamp, ``split.key`` and columns that differ in every row (ids). The default leaves room
        for rows that are equal by chance.
    :param allow_shared_groups: whether a group may be in both parts, which ``split.group`` otherwise forbids. A split
        by time often wants that: the same customers, later.
    :param allow: features that may reproduce the target, because they are known when the model predicts.
    :param prediction_time: the column that says when a row is predicted.
    :param known_at: the column that says since when a feature's value is known, by feature.
    """

    max_shared_row_fraction: float = Field(default=0.01, ge=0, le=1)
    allow_shared_groups: bool = False
    allow: tuple[str, ...] = ()
    prediction_time: str | None = Field(default=None, min_length=1)
    known_at: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _times_come_together(self) -> Self:
        if self.known_at and not self.prediction_time:
            raise ValueError("`known_at` needs `prediction_time`, the column that it is compared with")
        if self.prediction_time and not self.known_at:
            raise ValueError(
                "`prediction_time` checks nothing without `known_at`, such as {rating: rated_at}: the column that says "
                "since when a feature's value is known"
            )
        return self


class SplitSpec(Spec):
    """How rows are held out for evaluation.

    The same rows make the same parts, and rows that are equal in all columns stay together. Rows that differ in the
    timestamp alone stay together unless they are split by time, and with a ``key`` only where that is equal.

    :param method: ``time`` holds out the last rows by the dataset's timestamp; ``random`` draws rows by a hash of
        their values, so that a row keeps its side when the data grows; ``group`` draws whole groups in the same way;
        ``stratified`` draws the same share of every stratum, for which a few rows change sides when the data grows.
    :param test_fraction: fraction of the rows (of the groups, for ``group``) that is held out, in (0, 1).
    :param validation_fraction: fraction that is held out for tuning, in [0, 1): by time, the rows before the
        held-out ones. 0: none.
    :param gap: by time only, an ISO 8601 duration (``P7D``): rows that lie within it before a cut are left out, since
        what they know reaches beyond the cut (purging; López de Prado 2018, chapter 7).
    :param key: the columns that identify a row. ``random`` and ``stratified`` draw by them in place of all
        columns, so that a row whose other values are fixed keeps its side. Never null.
    :param group: the column or columns of which a group is made, all of whose rows stay together. Never null. Beside
        the method ``time`` nothing is drawn by it, but the leakage check wants no group in both parts.
    :param stratify: the column whose every value is a stratum, such as a class target.
    :param seed: of the draw.
    :param leakage: what the leakage check takes for leakage.
    """

    method: Literal["time", "random", "group", "stratified"] = "time"
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    validation_fraction: float = Field(default=0.0, ge=0, lt=1)
    gap: timedelta | None = Field(default=None, gt=timedelta(0))
    key: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    stratify: str | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=-(2**62), le=2**62)
    leakage: LeakageSpec = Field(default_factory=LeakageSpec)

    @field_validator("gap", mode="before")
    @classmethod
    def _has_a_unit(cls, gap: Any) -> Any:
        return time_setting(gap)

    @field_validator("key", "group", mode="before")
    @classmethod
    def _as_names(cls, names: Any) -> Any:
        return (names,) if isinstance(names, str) else names

    @field_validator("key", "group")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not all(names) or len(set(names)) != len(names):
            raise ValueError("needs names of columns, each of them once")
        return names

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError(
                f"test_fraction {self.test_fraction} and validation_fraction {self.validation_fraction} leave nothing "
                f"to train on: their sum must be below 1"
            )
        return self

    @model_validator(mode="after")
    def _settings_fit_the_method(self) -> Self:
        if self.gap and self.method != "time":
            raise ValueError(f"`gap` needs `method: time`: the rows of a {self.method} split have no order")
        if self.method == "group" and not self.group:
            raise ValueError("`method: group` needs `group`, the column whose rows stay together")
        if self.group and self.method not in ("group", "time"):
            raise ValueError(f"`method: {self.method}` would part the rows of a `group`: set `method: group`")
        if self.method == "stratified" and not self.stratify:
            raise ValueError("`method: stratified` needs `stratify`, the column of which every value is a stratum")
        if self.stratify and self.method != "stratified":
            raise ValueError("`stratify` needs `method: stratified`")
        return self
