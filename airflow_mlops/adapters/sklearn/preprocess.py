"""scikit-learn: the transformation that stands before an estimator, inside the model that is stored.

It is made of scikit-learn's own parts alone, so that a stored model needs nothing else to be loaded.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.errors import SpecError, bounded

__all__ = [
    "default_preprocessor",
    "describe_infinite",
    "estimator_kind",
    "prepares_its_columns",
    "prepend",
]

log = logging.getLogger(__name__)

Kind = Literal["trees", "counts", "scaled"]

MISSING = "(missing)"
"""The category that a missing text is put into."""

_MAX_CODES = 250  # HistGradientBoosting has bins for 255 values
_MAX_CATEGORIES = 100
_TREE_MODULES = (
    "sklearn.tree.",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting",
    "sklearn.ensemble._bagging",  # without an estimator of its own, a tree
    "sklearn.ensemble._weight_boosting",
    "catboost.",
    "lightgbm.",
    "xgboost.",
)
_NUMBERS = ("int", "uint", "float", "double", "half", "decimal", "bool")
_TEXTS = ("string", "large_string", "string_view", "dictionary", "null")


def prepares_its_columns(estimator: Any) -> bool:
    """Return whether an estimator wants the raw columns.

    That is one that is or holds a pipeline or a column transformer, one that is no scikit-learn estimator, and one
    that does not take a table.
    """
    if not isinstance(estimator, BaseEstimator) or not get_tags(estimator).input_tags.two_d_array:
        return True
    return any(isinstance(part, (Pipeline, ColumnTransformer)) for part in (estimator, *_parts(estimator)))


def estimator_kind(estimator: Any) -> Kind:
    """Return what an estimator needs of its columns.

    ``trees`` take numbers of any scale and codes for categories; ``counts`` (naive Bayes on counts) take nothing
    that is negative; all others, and what is not known, get scaled columns and one column for each category.
    An estimator around others is of their kind.
    """
    if all(map(_is_tree, _inner(estimator) or [estimator])):
        return "trees"
    return "counts" if get_tags(estimator).input_tags.positive_only else "scaled"


def default_preprocessor(estimator: Any, columns: Sequence[Column], frame: Any) -> ColumnTransformer:
    """Build the transformer from the columns' types and the kind of estimator. It is not fitted yet.

    Numbers and booleans: missing values become the median, with a column that says where they were missing in the
    training part; trees that know missing values get them as they are. Text: a missing value is a category of its
    own; trees get codes (unknown: -1), others a column for each frequent category (unknown: as the rare ones).
    NULL and NaN are the same. A number that is missing in all rows teaches nothing and is left out.

    :param columns: the features with their Arrow types, in order.
    :param frame: the training part, as a pandas data frame: what is rare or empty is seen in it.
    :raises SpecError: when a column is of a type that has no default, such as a timestamp.
    """
    kind = estimator_kind(estimator)
    roles = [(column.name, _role(column, frame, kind)) for column in columns]
    if kind != "trees":
        roles.sort(key=lambda item: item[1])
    # For trees only neighbours are taken together, so that the columns keep their order: parameters such as
    # monotonic_cst name features by place.
    runs = [(role, [name for name, _ in run]) for role, run in groupby(roles, key=lambda item: item[1])]
    steps = [
        (f"{role}_{place}", _transformer(role, kind, estimator, len(frame)), names)
        for place, (role, names) in enumerate(runs, start=1)
    ]
    keeps_names = kind == "trees" or not type(estimator).__module__.startswith("sklearn.")
    transformer = ColumnTransformer(steps, verbose_feature_names_out=not keeps_names)
    if keeps_names:  # parameters, and a user's own class, may speak of columns by name
        transformer.set_output(transform="pandas")
    counts = Counter(role for _, role in roles)
    n_texts = counts["texts"] + counts["many_texts"]
    log.info("default preprocessing: kind=%s n_numbers=%d n_texts=%d", kind, counts["numbers"], n_texts)
    if counts["empty"]:
        empty = bounded(name for name, role in roles if role == "empty")
        log.warning("features without any value in the training part are not trained on: %s", empty)
    return transformer


def prepend(transformer: Any, estimator: Any) -> Pipeline:
    """Return one model that takes the raw columns."""
    return Pipeline([("preprocess", transformer), ("model", estimator)])


def describe_infinite(frame: Any) -> str:
    """Say which columns hold infinite numbers, for a message; an empty text where none does."""
    found = []
    for name in frame.columns:
        if frame[name].dtype.kind == "f":
            values = frame[name].to_numpy()
            n_infinite = int(np.isinf(values).sum())
            if n_infinite:
                first = int(np.flatnonzero(np.isinf(values))[0])
                found.append(f"{name!r} in {n_infinite} of {len(frame)} rows (first: {values[first]} in row {first})")
    return "; ".join(found[:10]) + (f" and {len(found) - 10} more columns" if len(found) > 10 else "")


def _role(column: Column, frame: Any, kind: Kind) -> str:
    if column.type.startswith(_NUMBERS):
        return "empty" if frame[column.name].isna().all() else "numbers"
    if column.type.startswith(_TEXTS):
        return "many_texts" if kind == "trees" and frame[column.name].nunique(dropna=False) > _MAX_CODES else "texts"
    is_time = column.type.startswith(("timestamp", "date", "time", "duration"))
    way = "numbers of it (hour, weekday, days since an event)" if is_time else "columns of those types of it"
    raise SpecError(
        f"Feature {column.name!r} is of type {column.type}; the default preprocessing takes numbers, booleans and "
        f"text. Nothing was trained and the champion stays. Make {way} in data.features, leave "
        f"it out of training.features, or set training.preprocessing to your own."
    )


def _transformer(role: str, kind: Kind, estimator: Any, n_rows: int) -> Any:
    if role == "numbers":
        return _numbers(kind, estimator)
    if role.endswith("texts"):
        return _texts(role, kind, estimator, n_rows)
    return _constant() if kind == "trees" else "drop"


def _numbers(kind: Kind, estimator: Any) -> Any:
    if kind == "trees" and get_tags(estimator).input_tags.allow_nan:
        # Changes no value: it makes floats of whatever stands for numbers, and refuses infinities as all others do.
        return StandardScaler(with_mean=False, with_std=False)
    impute = SimpleImputer(strategy="median", add_indicator=True)
    return Pipeline([("impute", impute), ("scale", StandardScaler())]) if kind == "scaled" else impute


def _constant() -> Pipeline:
    """Keep the place of a column; trees that know missing values fail where there is nothing else."""
    cast = StandardScaler(with_mean=False, with_std=False)
    fill = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return Pipeline([("cast", cast), ("fill", fill)])


def _texts(role: str, kind: Kind, estimator: Any, n_rows: int) -> Pipeline:
    encoder: Any
    is_linear = type(estimator).__module__.startswith("sklearn.linear_model.")  # the others would keep sparse rows
    if kind == "trees":
        # To count categories that are few takes the encoder five times as long as all the rest, and changes nothing.
        limit = _MAX_CODES if role == "many_texts" else None
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=limit)
    else:
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            min_frequency=min(50, max(2, n_rows // 1000)),
            max_categories=_MAX_CATEGORIES,
            sparse_output=is_linear and get_tags(estimator).input_tags.sparse,
        )
    # Parquet gives None for a missing text, a CSV reader NaN: training and serving must not tell them apart.
    missing_texts: list[tuple[str, float | None]] = [("nan", np.nan), ("null", None)]
    if pd.Series(["text"]).dtype != object:  # pandas 3: what one step gives to the next has NaN in place of None
        missing_texts.insert(1, ("nan_of_null", np.nan))
    fill = [
        (name, SimpleImputer(missing_values=missing, strategy="constant", fill_value=MISSING, keep_empty_features=True))
        for name, missing in missing_texts
    ]
    return Pipeline([*fill, ("encode", encoder)])


def _is_tree(estimator: Any) -> bool:
    return any(f"{base.__module__}.".startswith(_TREE_MODULES) for base in type(estimator).__mro__)


def _inner(estimator: Any) -> list[Any]:
    return [part for part in _parts(estimator) if hasattr(part, "fit") and hasattr(part, "predict")]


def _parts(estimator: Any) -> Iterable[Any]:
    return list(estimator.get_params(deep=True).values())
