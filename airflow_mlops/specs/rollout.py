"""How a version is tried in production before it becomes champion."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from airflow_mlops.specs._base import Duration, Spec

__all__ = ["RolloutSpec"]


class RolloutSpec(Spec):
    """A version is given a share of the live requests, watched, and goes on only if it does no harm.

    Differences to the champion are judged by intervals that hold at all checks together.

    :param mode: ``canary`` answers its share; ``shadow`` is asked too, and never answers.
    :param share: of the ids whose rows it is given.
    :param window: how long it is watched.
    :param checks: how often in that time. A version that is shown to do harm ends at the next check.
    :param min_requests: fewer than this, of either side, is inconclusive.
    :param max_error_rate_increase: of the share of failed requests, as a difference.
    :param max_latency_p95_increase: as a fraction of the champion's; ``None``: it is not judged.
    :param max_prediction_shift: population stability index of the predictions, beyond what chance makes; ``None``: it
        is not judged.
    :param confidence_level: of the intervals, over all checks.
    """

    renamed = {"looks": "checks"}

    mode: Literal["canary", "shadow"] = "canary"
    share: float = Field(default=0.1, gt=0, le=1)
    window: Duration = timedelta(hours=1)
    checks: int = Field(default=4, ge=1, le=100)
    min_requests: int = Field(default=1000, ge=100)
    max_error_rate_increase: float = Field(default=0.01, ge=0, lt=1)
    max_latency_p95_increase: float | None = Field(default=0.25, ge=0)
    max_prediction_shift: float | None = Field(default=0.2, gt=0)
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
