"""Where the data comes from, what must be true of it, and how it is split."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec

__all__ = ["DatasetSpec", "SplitSpec", "ValidationSpec"]


class DatasetSpec(Spec):
    """Files that together are one dataset.

    :param path: a file, a folder or a glob. ``$NAME`` and ``${NAME}`` are read from the environment.
    :param format: by default taken from the file names' suffix.
    :param timestamp: the column that says when a row was true. It is what windows and time splits cut,
        and may never be null.
    :param window_start: first moment that belongs to the dataset, ISO 8601, in UTC unless it says otherwise;
        ``None``: no lower bound.
    :param window_end: first moment that does not belong any more; ``None``: no upper bound.
    :param features: a ``SELECT`` over the table ``dataset`` (the validated snapshot) that gives the rows to
        train on: lags, joins, the target. ``None``: the snapshot's own columns. Transformations of a
        single row belong in the estimator instead, where serving has them too.
    """

    path: str = Field(min_length=1)
    format: Literal["csv", "parquet", "jsonl"] | None = None
    timestamp: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    features: str | None = None

    @field_validator("path")
    @classmethod
    def _expand(cls, path: str) -> str:
        expanded = os.path.expanduser(os.path.expandvars(path))
        unset = re.findall(r"\$\{?(\w+)\}?", expanded)
        if unset:
            raise ValueError(f"environment variable {unset[0]!r} is not set; set it, or write the path out")
        return expanded

    @field_validator("window_start", "window_end", mode="before")
    @classmethod
    def _empty_is_open(cls, moment: object) -> object:
        return moment or None  # a template that has nothing to say gives an empty string

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if (self.window_start or self.window_end) and not self.timestamp:
            raise ValueError("a window needs `timestamp`, the column that it cuts")
        if self.window_start and self.window_end and _in_utc(self.window_start) >= _in_utc(self.window_end):
            raise ValueError(f"window_start {self.window_start} is not before window_end {self.window_end}")
        return self


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class ValidationSpec(Spec):
    """What must be true of a snapshot before anything is learnt from it.

    :param suite: path of a Great Expectations suite in JSON (``{"name": …, "expectations": […]}``);
        environment variables are expanded.
    :param expectations: the same list of ``{"type", "kwargs", "severity"}`` in place of a file. A failed
        ``critical`` expectation (the default) halts; ``warning`` and ``info`` are reported.
    """

    suite: str | None = None
    expectations: tuple[dict[str, Any], ...] = ()

    @field_validator("suite")
    @classmethod
    def _expand(cls, suite: str | None) -> str | None:
        return os.path.expanduser(os.path.expandvars(suite)) if suite else None

    @model_validator(mode="after")
    def _has_checks(self) -> Self:
        if bool(self.suite) == bool(self.expectations):
            raise ValueError("give either `suite`, a path, or `expectations`, a list that is not empty")
        for index, expectation in enumerate(self.expectations):
            if not isinstance(expectation.get("type"), str):
                raise ValueError(f"expectations[{index}] has no `type`, such as expect_column_to_exist")
            if not isinstance(expectation.get("kwargs", {}), dict):
                raise ValueError(f"expectations[{index}].kwargs must be a mapping")
        return self


class SplitSpec(Spec):
    """How rows are held back for evaluation.

    :param method: ``time`` holds back the last rows by the dataset's timestamp; ``random`` draws rows.
    :param test_fraction: fraction of the rows that is held back, in (0, 1).
    :param seed: of the random draw.
    """

    method: Literal["time", "random"] = "time"
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    seed: int = 0
