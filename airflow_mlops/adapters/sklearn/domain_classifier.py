"""scikit-learn: a classifier that tries to tell two samples apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

__all__ = ["domain_score"]

_N_FOLDS = 3


def domain_score(*, reference: Any, current: Any) -> float:
    """Return how well the rows of two pandas data frames of the same columns can be told apart.

    A classifier is trained on two thirds of the rows which frame each is from, and is judged on the rest, in turn: it
    sees what changed between columns while each of them looks the same.

    :returns: the area under the ROC curve; 0.5: not at all, 1: always.
    """
    columns = [_numbers(np.concatenate([reference[name], current[name]])) for name in current.columns]
    is_new = np.repeat([0, 1], [len(reference), len(current)])
    scores = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=0),
        np.column_stack(columns),
        is_new,
        cv=StratifiedKFold(_N_FOLDS, shuffle=True, random_state=0),
        method="predict_proba",
    )
    return float(roc_auc_score(is_new, scores[:, 1]))


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column as numbers that the classifier takes: texts by their place in the alphabet, null as NaN."""
    if values.dtype.kind in "biuf":
        return np.nan_to_num(values.astype(np.float64), nan=np.nan)  # infinities become the largest numbers
    texts = np.array(["" if value is None or value != value else f"={value}" for value in values])
    codes = np.unique(texts, return_inverse=True)[1].astype(np.float64)
    codes[texts == ""] = np.nan
    return codes
