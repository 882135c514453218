"""How a spec becomes a fitted model: what a training does with the rows, and a reproduction does again."""

from __future__ import annotations

from typing import Any

from airflow_mlops.adapters import preprocess, user_code
from airflow_mlops.core.data import Column
from airflow_mlops.errors import TrainingError
from airflow_mlops.specs.train import TrainingSpec

__all__ = ["fit"]


def fit(training: TrainingSpec, frame: Any, features: list[Column]) -> Any:
    """Fit the spec's model to the training part.

    :param frame: the training part, as a pandas data frame.
    :raises TrainingError: when the estimator or the user's function fails.
    """
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
