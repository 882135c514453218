"""What must be true of the data, and what follows when it is not."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, import_path_of
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["Action", "PolicySpec", "SkewSpec", "ValidationSpec"]

Action = Literal["PROCEED", "RETRAIN", "QUARANTINE", "HALT"]
"""What a finding may lead to, the gravest last."""


class PolicySpec(Spec):
    """What findings lead to. The most specific setting counts; the gravest of all findings is the verdict.

    An expectation may also say it itself, by ``"meta": {"on_failure": "QUARANTINE"}`` in the suite.

    :param critical: for findings of this severity.
    :param warning: for findings of this severity; what is about values (``category_new``, ``value_range``,
        ``timestamp_order``, ``serving_skew``, ``serving_category_new``) leads to RETRAIN all the same, unless ``rules``
        says otherwise.
    :param info: for findings of this severity.
    :param rules: by rule, or by ``rule:column``, such as
        ``{"expect_column_values_to_be_between:age": "QUARANTINE"}``.
    :param max_quarantined_fraction: more bad rows than this fraction halt.
    """

    critical: Action = "HALT"
    warning: Action = "PROCEED"
    info: Action = "PROCEED"
    rules: dict[str, Action] = Field(default_factory=dict)
    max_quarantined_fraction: float = Field(default=0.1, ge=0, lt=1)


class SkewSpec(Spec):
    """What the model is asked where it serves, to be compared with what it is trained on.

    :param data: the requests: an inference log, or a sample of what comes in.
    :param columns: the columns that must be in both; ``None``: those that both have.
    :param psi_threshold: population stability index from which on a column differs.
    :param min_rows: fewer requests than this are too few to tell.
    """

    data: DatasetSpec
    columns: tuple[str, ...] | None = None
    psi_threshold: float = Field(default=0.25, gt=0)
    min_rows: int = Field(default=200, ge=1)

    @model_validator(mode="after")
    def _has_a_window_of_its_own(self) -> Self:
        if self.data.since_last_snapshot:
            raise ValueError("data.since_last_snapshot: requests are never validated, so it means all; set `trailing`")
        return self


class ValidationSpec(Spec):
    """What must be true of a snapshot before anything is trained on it.

    Give one or more of the first four. Whatever is given, the columns are compared with those that the champion
    was trained on: missing, new and retyped ones, columns that are empty now, categories that it never saw, numbers
    far out of its range.

    :param suite: path of a Great Expectations suite in JSON or YAML (``{"name": …, "expectations": […]}``);
        environment variables are expanded.
    :param expectations: the same list of ``{"type", "kwargs", "severity"}`` in place of a file.
    :param function: the import path of a function without arguments that gives a Great Expectations suite, or a
        list of expectations.
    :param inferred: infer the suite from the data that the champion was trained on. Without a champion there is
        nothing to infer it from, and it checks nothing: give ``suite`` or ``expectations`` beside it.
    :param policy: what a finding leads to. A failed ``critical`` expectation (the default) halts; ``warning`` and
        ``info`` are reported.
    :param max_size_factor: how many times larger or smaller than the champion's data a snapshot may be.
    :param max_new_category_fraction: rows with categories that the champion never saw, of all rows; more are
        critical, fewer a warning that leads to RETRAIN.
    :param max_range_factor: numbers that lie out of the champion's range by more than its width are a warning that
        leads to RETRAIN; by more than so many widths, in more than ``max_new_category_fraction`` of the rows, they are
        critical.
    :param skew: what the model is asked where it serves.
    """

    renamed = {"serving": "skew"}

    suite: str | None = None
    expectations: tuple[dict[str, Any], ...] = ()
    function: str | None = None
    inferred: bool = False
    policy: PolicySpec = Field(default_factory=PolicySpec)
    max_size_factor: float = Field(default=100.0, gt=1)
    max_new_category_fraction: float = Field(default=0.05, ge=0, le=1)
    max_range_factor: float = Field(default=10.0, ge=1)
    skew: SkewSpec | None = None

    @field_validator("suite")
    @classmethod
    def _expand(cls, suite: str | None) -> str | None:
        return os.path.expanduser(os.path.expandvars(suite)) if suite else None

    @field_validator("function", mode="before")
    @classmethod
    def _as_import_path(cls, value: Any) -> Any:
        return import_path_of(value)

    @model_validator(mode="after")
    def _has_checks(self) -> Self:
        if not (self.suite or self.expectations or self.function or self.inferred):
            raise ValueError(
                "nothing to check: give `suite` (a path), `expectations` (a list that is not empty), `function` or "
                "`inferred: true`"
            )
        for index, expectation in enumerate(self.expectations):
            if not isinstance(expectation.get("type"), str):
                raise ValueError(f"expectations[{index}] has no `type`, such as expect_column_to_exist")
            if not isinstance(expectation.get("kwargs", {}), dict):
                raise ValueError(f"expectations[{index}].kwargs must be a mapping")
        return self
