"""scikit-learn's HistGradientBoosting: how it stops early, and how far it has come."""

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
    estimator.set_params(early_stopping=True, n_iter_no_change=rounds)
    return {"X_val": held_out.features, "y_val": held_out.target, "sample_weight_val": held_out.weights}


@contextlib.contextmanager
def watching(estimator: Any, progress: Progress) -> Iterator[dict[str, Any]]:
    """Let its iterations be seen while it is fitted; it needs no argument for it."""
    # It has no callbacks. The list of its trees grows while it is fitted; without it the iterations are not seen.
    progress.look_by(lambda: (len(getattr(estimator, "_predictors", ())), int(estimator.max_iter)))
    yield {}
