"""The fit itself: what a training does with the rows, and what a reproduction does again."""

from __future__ import annotations

from typing import Any

from airflow_mlops.adapters import preprocess, user_code
from airflow_mlops.core.data import Column
from airflow_mlops.core.split import DatasetSplit
from airflow_mlops.core.train import choose_features
from airflow_mlops.errors import TrainingError
from airflow_mlops.specs.train import TrainingSpec

__all__ = ["feature_columns", "fit_model"]


def feature_columns(training: TrainingSpec, split: DatasetSplit) -> list[Column]:
    """Return the columns that a model of this spec learns from, in order.

    :raises SpecError: when the target or a feature is not in the split.
    """
    known = {column.name: column for column in split.columns}
    return [known[name] for name in choose_features(training, split)]


def fit_model(training: TrainingSpec, split: DatasetSplit, frame: Any) -> Any:
    """Fit the spec's estimator, or call its function.

    :param frame: the rows of the split's training part, as a pandas data frame.
    :raises TrainingError: when the estimator or the user's function fails.
    """
    features = feature_columns(training, split)
    names = [column.name for column in features]
    if training.function:
        return user_code.call_trainer(training, frame[[*names, training.target]])
    model = _with_preprocessing(user_code.make_estimator(training), training, features, frame)
    try:
        return model.fit(frame[names], frame[training.target])
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        infinite = preprocess.describe_infinite(frame[names])
        if infinite:
            reason = f"finite numbers are required, infinite is {infinite}. Make them null in data.features ({reason})"
        raise TrainingError(
            f"{training.estimator} failed to fit {len(frame)} rows of {len(features)} features: {reason}. "
            f"Nothing was stored and the champion stays."
        ) from error


def _with_preprocessing(estimator: Any, training: TrainingSpec, features: list[Column], frame: Any) -> Any:
    """Put the transformation before the estimator, so that one object is stored, evaluated and served."""
    if training.preprocessor:
        return preprocess.prepend(user_code.make_preprocessor(training.preprocessor), estimator)
    if training.preprocessing == "none" or preprocess.prepares_its_columns(estimator):
        return estimator
    return preprocess.prepend(preprocess.default_preprocessor(estimator, features, frame), estimator)
