"""pandas: class labels as places in a list of classes, which is what metrics compute with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["classes_of", "codes_by_appearance", "codes_of", "shares_of"]


def classes_of(*columns: NDArray[Any] | Sequence[Any]) -> NDArray[Any]:
    """Return the different values of all columns, sorted.

    :raises TypeError: when they can't be sorted, such as text and numbers.

    >>> classes_of(["b", "a"], ["c", "a"]).tolist()
    ['a', 'b', 'c']
    """
    found: set[Any] = set()
    for column in columns:
        found.update(pd.unique(pd.Series(column)).tolist())
    return np.asarray(sorted(found))


def codes_of(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int32]:
    """Return the place of each value among the classes, -1 where it is none of them.

    :returns: ``(n_rows,) int32``.
    """
    return np.asarray(pd.Index(classes.tolist()).get_indexer(pd.Series(values)), dtype=np.int32)


def shares_of(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    """Return which share of the values is of each class: ``(n_classes,)``."""
    codes = codes_of(values, classes)
    return np.bincount(codes[codes >= 0], minlength=len(classes)) / max(len(codes), 1)


def codes_by_appearance(values: NDArray[Any]) -> NDArray[np.int32]:
    """Return for each value a number, the same for equal values, counted from 0. Missing values are one group.

    :returns: ``(n_rows,) int32``.
    """
    codes, _ = pd.factorize(values, use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int32)
