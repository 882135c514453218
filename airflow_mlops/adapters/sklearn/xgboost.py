"""XGBoost: how its scikit-learn estimators stop early, and how far they have come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from xgboost.callback import TrainingCallback

from airflow_mlops.core.training.fit import Progress, Rows

__all__ = ["stop_early", "watching"]


def stop_early(estimator: Any, rounds: int, held_out: Rows) -> dict[str, Any]:
    """Set the estimator to stop early, and return what its ``fit`` needs for it.

    :param held_out: the rows to judge by, transformed as the others are.
    """
    estimator.set_params(early_stopping_rounds=rounds)
    weights = None if held_out.weights is None else [held_out.weights]
    return {"eval_set": [(held_out.features, held_out.target)], "sample_weight_eval_set": weights, "verbose": False}


@contextlib.contextmanager
def watching(estimator: Any, progress: Progress) -> Iterator[dict[str, Any]]:
    """Let its iterations be seen while it is fitted. The callback goes away afterwards: a model is stored without."""
    own, total = estimator.get_params()["callbacks"], estimator.get_num_boosting_rounds()
    if total == 1:  # a forest, which refuses callbacks
        yield {}
        return
    estimator.set_params(callbacks=[*(own or []), _Report(progress, total)])
    try:
        yield {}
    finally:
        estimator.set_params(callbacks=own)


class _Report(TrainingCallback):  # type: ignore[misc]  # XGBoost is read without its types
    """Says after each iteration how many there were."""

    def __init__(self, progress: Progress, total: int) -> None:
        super().__init__()
        self._progress = progress
        self._total = total

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report, and go on."""
        self._progress(epoch + 1, self._total)
        return False
