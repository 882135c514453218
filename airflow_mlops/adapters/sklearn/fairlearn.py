"""fairlearn: how a classifier treats the groups of a protected attribute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from airflow_mlops.core.evaluation.fairness import FairnessReport, GroupFairness, judged_groups
from airflow_mlops.core.evaluation.slices import SlicedColumn
from airflow_mlops.errors import EvaluationError

__all__ = ["classification_fairness"]


def classification_fairness(
    groups: SlicedColumn, *, y_true: NDArray[np.bool_], y_pred: NDArray[np.bool_], min_rows: int
) -> FairnessReport:
    """Return by group how often the model selects, and how often it is right.

    fairlearn is given a weight for each combination of group, class and prediction, and not the rows: the result is
    the same, and the time does not grow with them.

    :param groups: the protected attribute, a group for each slice.
    :param y_true: ``(n_rows,) bool``, whether the row is of the positive class, which is the good outcome; of more
        than two classes all others are negative.
    :param y_pred: ``(n_rows,) bool``, whether it is predicted to be.
    :param min_rows: smaller groups are shown, and not judged.
    :raises EvaluationError: when there is no row, or not one for each of the groups'.
    """
    n_rows = len(groups.codes)
    if not n_rows or y_true.shape != (n_rows,) or y_pred.shape != (n_rows,):
        raise EvaluationError(
            f"Fairness by {groups.name!r}: {n_rows} rows have a group, {len(y_true)} a class and {len(y_pred)} a "
            f"prediction; it needs all three for the same rows, at least one."
        )
    cells = _cells(groups, y_true, y_pred)
    is_judged = np.array(judged_groups(groups, min_rows))
    judged_cells = cells[is_judged[cells["group"]]]
    by_group = _frame(cells).by_group
    return FairnessReport(
        attribute=groups.name,
        min_rows=min_rows,
        groups=tuple(
            GroupFairness(
                name=group.name,
                n_rows=group.n_rows,
                is_judged=bool(is_judged[place]),
                scores={name: float(value) for name, value in by_group.loc[place].items()},
            )
            for place, group in enumerate(groups.slices)
        ),
        measures=_measures(_frame(judged_cells) if len(judged_cells) else None),
    )


def _cells(groups: SlicedColumn, y_true: NDArray[np.bool_], y_pred: NDArray[np.bool_]) -> Any:
    """Return how many rows each combination of group, class and prediction has."""
    counts = np.bincount(groups.codes * 4 + y_true * 2 + y_pred)
    found = np.flatnonzero(counts)
    return pd.DataFrame({"group": found // 4, "y_true": found // 2 % 2, "y_pred": found % 2, "n_rows": counts[found]})


def _frame(cells: Any) -> MetricFrame:
    metrics = {
        "selection_rate": selection_rate,
        "true_positive_rate": _among(1, true_positive_rate),
        "false_positive_rate": _among(0, false_positive_rate),
        "accuracy": accuracy_score,
    }
    return MetricFrame(
        metrics=metrics,
        y_true=cells["y_true"],
        y_pred=cells["y_pred"],
        sensitive_features=cells["group"],
        sample_params={name: {"sample_weight": cells["n_rows"]} for name in metrics},
    )


def _among(truth: int, rate: Callable[..., float]) -> Callable[..., float]:
    """Return the rate as NaN where no row is of that class; fairlearn's own is 0 then, which looks like a finding."""

    def known_rate(y_true: Any, y_pred: Any, sample_weight: Any) -> float:
        return rate(y_true, y_pred, sample_weight=sample_weight) if (y_true == truth).any() else math.nan

    return known_rate


def _measures(frame: MetricFrame | None) -> dict[str, float]:
    """Return how far the groups are apart; fairlearn would leave out those that have no rate."""
    names = ("demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference")
    if frame is None:
        return dict.fromkeys(names, math.nan)
    is_known = frame.by_group.notna().all()
    difference = frame.difference().where(is_known)
    ratio = frame.ratio().where(is_known)
    odds = max(difference["true_positive_rate"], difference["false_positive_rate"])
    is_odd = is_known["true_positive_rate"] and is_known["false_positive_rate"]
    found = (difference["selection_rate"], ratio["selection_rate"], odds if is_odd else math.nan)
    return {name: float(value) for name, value in zip(names, found, strict=True)}
