"""What must be true of the data."""

from __future__ import annotations

import os
from typing import Any, Self

from pydantic import field_validator, model_validator

from airflow_mlops.specs._base import Spec

__all__ = ["ValidationSpec"]


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
