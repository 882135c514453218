"""pandas: how much a model relies on each column of its raw input, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.importance import FeatureImportance
from airflow_mlops.errors import EvaluationError

__all__ = ["permutation_importance"]

Predict = Callable[[Any], NDArray[np.generic]]
Score = Callable[[NDArray[np.generic], NDArray[np.generic]], float]


def permutation_importance(
    predict: Predict,
    frame: Any,
    y_true: NDArray[np.generic],
    *,
    features: Sequence[str],
    score: Score,
    max_rows: int = 2_000,
    n_repeats: int = 5,
    seed: int = 0,
) -> tuple[FeatureImportance, ...]:
    """Measure how much the score drops when the values of one column are shuffled among the rows.

    The permutation importance of Breiman (2001), for any model (Fisher, Rudin and Dominici, 2019). Unlike
    scikit-learn's it asks for nothing but predictions, so it works for every flavour; a column's repetitions are
    predicted at once. Of columns that tell the same, each looks unimportant, since the other one is left.

    :param predict: gives ``(n_rows,)`` predictions, or ``(n_rows, n_classes)``, for a pandas data frame.
    :param frame: held-out rows; only ``features`` are shuffled, and no row of it is changed.
    :param y_true: ``(n_rows,)``, the answers to those rows.
    :param score: ``(y_true, y_pred) -> float``, of which more is better.
    :param max_rows: more rows than this are sampled without replacement.
    :param n_repeats: shuffles of each column, at least 2, without which there is no deviation.
    :returns: one for each feature, the most important first.
    :raises EvaluationError: when there is no row, the score is NaN or infinite, or ``n_repeats`` is too small.

    >>> frame = pd.DataFrame({"used": [1.0, 2.0, 3.0, 4.0], "unused": [1.0, 1.0, 2.0, 2.0]})
    >>> found = permutation_importance(
    ...     lambda rows: rows["used"].to_numpy(),
    ...     frame,
    ...     frame["used"].to_numpy(),
    ...     features=["used", "unused"],
    ...     score=lambda y_true, y_pred: -float(np.abs(y_true - y_pred).mean()),
    ... )
    >>> [(each.feature, round(each.importance, 2)) for each in found]
    [('used', 1.1), ('unused', 0.0)]
    """
    if len(frame) == 0 or n_repeats < 2:
        raise EvaluationError(
            f"Importance needs rows and at least 2 repetitions, found {len(frame)} rows and {n_repeats}. Nothing was "
            f"measured."
        )
    rng = np.random.default_rng(seed)
    places = np.sort(rng.choice(len(frame), size=min(max_rows, len(frame)), replace=False))
    rows, answers = frame.iloc[places], np.asarray(y_true)[places]
    whole = _finite(score(answers, np.asarray(predict(rows))))
    found = []
    for feature in features:
        predicted = np.asarray(predict(_shuffled(rows, feature, n_repeats, rng)))
        drops = [whole - _finite(score(answers, part)) for part in np.split(predicted, n_repeats)]
        found.append(
            FeatureImportance(feature=feature, importance=float(np.mean(drops)), std=float(np.std(drops, ddof=1)))
        )
    return tuple(sorted(found, key=lambda each: -each.importance))


def _shuffled(rows: Any, feature: str, n_repeats: int, rng: np.random.Generator) -> Any:
    """Return the rows several times over, each time with the column in another order."""
    repeated = pd.concat([rows] * n_repeats, ignore_index=True)
    order = np.concatenate([rng.permutation(len(rows)) for _ in range(n_repeats)])
    repeated[feature] = rows[feature].iloc[order].array
    return repeated


def _finite(value: float) -> float:
    if not np.isfinite(value):
        raise EvaluationError(f"The score for the importance of features is {value}. Nothing was measured.")
    return float(value)
