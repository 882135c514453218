"""How the rows are split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["SplitSpec"]


class SplitSpec(Spec):
    """How rows are held back for evaluation.

    :param method: ``time`` holds back the last rows by the dataset's timestamp; ``random`` draws rows.
    :param test_fraction: fraction of the rows that is held back, in (0, 1).
    :param seed: of the random draw.
    """

    method: Literal["time", "random"] = "time"
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    seed: int = 0
