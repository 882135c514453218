"""Folds of a training part: rows to train on, and rows to score on."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.splitting.split import salted
from airflow_mlops.errors import DataError

__all__ = ["Fold", "hashed_folds", "time_folds"]

Fold: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The places of the rows that a model is fitted to, and of those that it is scored on."""


def time_folds(moments: NDArray[np.int64], n_folds: int, *, gap: int = 0) -> list[Fold]:
    """Make folds by forward chaining: each is scored on what comes after the rows that it is trained on.

    The rows are cut into ``n_folds + 1`` stretches of about the same size; rows of one time stay together. The
    first stretch is only trained on (Hyndman and Athanasopoulos 2021, section 5.10).

    :param moments: ``(n_rows,) int64``, in any order.
    :param gap: rows that lie before a cut, but not by more than this, are left out of its fold.
    :raises DataError: when a fold would have no rows to train on or to score.

    >>> [(fit.tolist(), score.tolist()) for fit, score in time_folds(np.arange(6), 2, gap=1)]
    [([0], [2, 3]), ([0, 1, 2], [4, 5])]
    """
    # Cuts at quantiles of the rows, not of the time: stretches of about equal size also where rows come in bursts.
    in_order = np.sort(moments)
    cuts = [int(in_order[len(moments) * part // (n_folds + 1)]) for part in range(1, n_folds + 1)]
    ends = [*cuts[1:], int(in_order[-1]) + 1]
    folds = [
        (np.flatnonzero(moments < cut - gap), np.flatnonzero((moments >= cut) & (moments < end)))
        for cut, end in zip(cuts, ends, strict=True)
    ]
    return _require_rows(folds, len(moments), "different times, or a smaller gap")


def hashed_folds(
    hashes: NDArray[np.uint64], n_folds: int, *, seed: int, strata: NDArray[np.generic] | None = None
) -> list[Fold]:
    """Deal rows out by their hash: equal hashes go to one fold, wherever the rows stand.

    :param hashes: ``(n_rows,) uint64``, of what keeps rows together: a key, a group, all values.
    :param strata: ``(n_rows,)``: each fold gets the same share of every value.
    :raises DataError: when a fold would have no rows to train on or to score.
    """
    which, n_dealt = np.zeros(len(hashes), dtype=np.int64), 0
    for stratum in [None] if strata is None else np.unique(strata):
        rows = np.arange(len(hashes)) if stratum is None else np.flatnonzero(strata == stratum)
        # The rank of the salted hash is the order of dealing, so that it does not depend on where the rows stand.
        different, dealt = np.unique(salted(hashes[rows], seed), return_inverse=True)
        which[rows] = (n_dealt + dealt) % n_folds  # goes on, or small strata would all lie in the first folds
        n_dealt += len(different)
    folds = [(np.flatnonzero(which != fold), np.flatnonzero(which == fold)) for fold in range(n_folds)]
    return _require_rows(folds, len(hashes), "rows or groups that are different")


def _require_rows(folds: list[Fold], n_rows: int, of_what: str) -> list[Fold]:
    for number, (fit, score) in enumerate(folds, start=1):
        if not len(fit) or not len(score):
            raise DataError(
                f"Fold {number} of {len(folds)} has {len(fit)} rows to train on and {len(score)} to score, of "
                f"{n_rows} training rows. Nothing was tried. Lower tuning.n_folds; otherwise it takes more {of_what}."
            )
    return folds
