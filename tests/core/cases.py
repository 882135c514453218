"""What several tests of the core put together."""

from __future__ import annotations

from typing import Any

import numpy as np

from airflow_mlops.core.evaluation.slices import SlicedColumn, SliceScore, score_slice
from airflow_mlops.core.reason import Reason


def score_slices(column: SlicedColumn, *, challenger: Any, champion: Any = None) -> tuple[SliceScore, ...]:
    """Return the scores of all slices of a column."""
    return tuple(
        score_slice(part, np.flatnonzero(column.codes == code), challenger=challenger, champion=champion)
        for code, part in enumerate(column.slices)
    )


def recorded(*sentences: str, stage: str = "gate") -> tuple[Reason, ...]:
    """Return reasons that say just this, as those of an older document do."""
    return tuple(Reason(stage=stage, rule="recorded", recorded=each) for each in sentences)
