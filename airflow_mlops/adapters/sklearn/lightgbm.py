"""LightGBM: how its scikit-learn estimators stop early, and how far they have come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from airflow_mlops.core.training.fit import Progress, Rows

__all__ = ["stop_early", "watching"]


def stop_early(estimator: Any, rounds: int, held_out: Rows) -> dict[str, Any]:
    """Set the estimator to stop early, and return what its ``fit`` needs for it.

    :param held_out: the rows to judge by, transformed as the others are.
    """
    estimator.set_params(early_stopping_rounds=rounds)
    weights = None if held_out.weights is None else [held_out.weights]
    return {"eval_set": [(held_out.features, held_out.target)], "eval_sample_weight": weights}


@contextlib.contextmanager
def watching(estimator: Any, progress: Progress) -> Iterator[dict[str, Any]]:  # noqa: ARG001  # as the others have it
    """Let its iterations be seen while it is fitted, and give the argument that its ``fit`` needs for it."""
    yield {"callbacks": [lambda state: progress(state.iteration + 1, state.end_iteration)]}
