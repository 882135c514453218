"""The inference log: what was asked of a model and what it answered, one row per row that was scored."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the triggerer counts rows of the log, and would pay for numpy's import
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OWN_PREFIX", "InferenceColumn", "Role", "logged_scores", "partition_of"]

OWN_PREFIX = "mlops_"
"""Begins the names of the log's own columns; all others are the model's features, under their own names."""


class Role(StrEnum):
    """In what part a version scored a row.

    The champion and the canary answer; what the shadow says is logged and never answered.
    """

    CHAMPION = "champion"
    CANARY = "canary"
    SHADOW = "shadow"
    BATCH = "batch"


class InferenceColumn(StrEnum):
    """The log's own columns, which every file of it has, in this order, before the features.

    ======================== ============= =====================================================================
    column                   type          what
    ======================== ============= =====================================================================
    ``mlops_id``             string        by which a label finds its prediction: the caller's, or made up
    ``mlops_request_id``     string        the request, or the batch, that the row came in
    ``mlops_at``             timestamp[us] when it was scored, in UTC
    ``mlops_model_version``  int64         the registered model's version that scored it
    ``mlops_model_digest``   string        of that version's files
    ``mlops_role``           string        a :class:`Role`
    ``mlops_prediction``     any           what it said; null where it failed
    ``mlops_score``          double        of two classes the second's probability, of more the predicted one's
    ``mlops_latency_ms``     double        of the request that the row came in; null in a batch
    ``mlops_error``          string        why there is no prediction; null where there is one
    ======================== ============= =====================================================================
    """

    ID = "mlops_id"
    REQUEST_ID = "mlops_request_id"
    AT = "mlops_at"
    MODEL_VERSION = "mlops_model_version"
    MODEL_DIGEST = "mlops_model_digest"
    ROLE = "mlops_role"
    PREDICTION = "mlops_prediction"
    SCORE = "mlops_score"
    LATENCY_MS = "mlops_latency_ms"
    ERROR = "mlops_error"


def partition_of(day: date) -> str:
    """Return the folder of a day's files.

    >>> partition_of(date(2026, 1, 31))
    'date=2026-01-31'
    """
    return f"date={day.isoformat()}"


def logged_scores(
    scores: NDArray[np.float64], predictions: NDArray[np.generic], classes: NDArray[np.generic]
) -> NDArray[np.float64]:
    """Return what the log keeps of the probabilities of classes: of two the second one's, of more the predicted one's.

    A model may predict another class than the likeliest, so the predictions have to be known.

    :param scores: ``(n_rows, n_classes) float64``.
    :param predictions: ``(n_rows,)``, the predicted classes.
    :param classes: ``(n_classes,)``, in the order of the scores.
    :returns: ``(n_rows,) float64``; 0 where the prediction is none of the classes.

    >>> import numpy as np
    >>> logged_scores(np.array([[0.75, 0.25]]), np.array(["a"]), np.array(["a", "b"])).tolist()
    [0.25]
    >>> logged_scores(np.array([[0.1, 0.7, 0.2]]), np.array(["c"]), np.array(["a", "b", "c"])).tolist()
    [0.2]
    """
    import numpy as np

    if len(classes) == 2:
        return scores[:, 1]
    return np.asarray(np.where(predictions[:, None] == classes, scores, 0.0).sum(axis=1))
