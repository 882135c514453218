"""How a spec becomes a fitted model: preprocessing, weights, rows to stop by, progress."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.sklearn import fitting, hist_gradient_boosting, preprocess
from airflow_mlops.adapters.user_code import load
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.fit import Progress, Rows, check_sample_weight, class_weights, hold_out, reason_of
from airflow_mlops.errors import MlopsError, SpecError, TrainingError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.training._progress import shown

__all__ = ["fit"]


class Boosting(Protocol):
    """What the adapter of a boosting library gives."""

    def stop_early(self, estimator: Any, rounds: int, held_out: Rows) -> dict[str, Any]:
        """Set the estimator to stop early, and return what its ``fit`` needs for it."""

    def watching(self, estimator: Any, progress: Progress) -> contextlib.AbstractContextManager[dict[str, Any]]:
        """Let its iterations be seen, and give what its ``fit`` needs for it."""


def fit(training: TrainingSpec, split: DatasetSplit, frame: Any, features: list[Column]) -> Any:
    """Fit the spec's model to the training part.

    Its progress is in the log. No process that it started survives, whether it succeeds or not.

    :param frame: the training part, as a pandas data frame.
    :raises TrainingError: when the estimator or the user's function fails.
    """
    names = [column.name for column in features]
    weights = None
    if training.sample_weight:
        weights = check_sample_weight(frame[training.sample_weight].to_numpy(), training.sample_weight)
    progress = Progress()
    try:
        with shown(progress, f"estimator={training.estimator or training.function} n_rows={len(frame)}"):
            if training.function:
                more = [training.sample_weight] if training.sample_weight else []
                return load.call_trainer(training, frame[[*names, *more, training.target]], progress)
            model = _make_model(training, features, frame)
            rows = Rows(features=frame[names], target=frame[training.target].to_numpy(), weights=weights)
            return _fit_model(model, rows, training, _held_out(training, split, frame), progress)
    finally:
        fitting.end_worker_processes()


def _make_model(training: TrainingSpec, features: list[Column], frame: Any) -> Any:
    """Put the transformation before the estimator, so that one object is stored, evaluated and served."""
    estimator = load.make_estimator(training)
    if training.preprocessor:
        return preprocess.prepend(load.make_preprocessor(training.preprocessor), estimator)
    if training.preprocessing == "none" or preprocess.prepares_its_columns(estimator):
        return estimator
    return preprocess.prepend(preprocess.default_preprocessor(estimator, features, frame), estimator)


def _fit_model(
    model: Any, rows: Rows, training: TrainingSpec, held_out: NDArray[np.bool_] | None, progress: Progress
) -> Any:
    estimator = fitting.final_estimator(model)
    boosting = _boosting_of(estimator)
    if training.class_weight:
        by_label = class_weights(training.class_weight, np.unique(rows.target))
        rows = fitting.weigh_classes(model, rows, by_label)
    try:
        with boosting.watching(estimator, progress) if boosting else contextlib.nullcontext({}) as arguments:
            if training.early_stopping is None or held_out is None:
                return fitting.fit_model(model, rows, arguments=arguments)
            return fitting.fit_model(
                model,
                rows.take(~held_out),
                arguments=arguments,
                held_out=rows.take(held_out),
                stopping=_stopping(boosting, estimator, training.early_stopping.rounds),
            )
    except MlopsError:
        raise
    except Exception as error:
        reason = reason_of(error)
        infinite = preprocess.describe_infinite(rows.features)
        if infinite:
            reason = f"finite numbers are required, infinite is {infinite}. Make them null in data.features ({reason})"
        raise TrainingError(
            f"{training.estimator} failed to fit {len(rows.target)} rows of {len(rows.features.columns)} features: "
            f"{reason}. Nothing was stored and the champion stays."
        ) from error


def _boosting_of(estimator: Any) -> Boosting | None:
    """Return the adapter of the library that an estimator is of, if it is a boosting's."""
    modules = [base.__module__ for base in type(estimator).__mro__]
    if any(module.startswith("sklearn.ensemble._hist_gradient_boosting.") for module in modules):
        return hist_gradient_boosting
    if any(module.startswith("xgboost.") for module in modules):
        from airflow_mlops.adapters.sklearn import xgboost

        return xgboost
    if any(module.startswith("lightgbm.") for module in modules):
        from airflow_mlops.adapters.sklearn import lightgbm

        return lightgbm
    return None


def _stopping(boosting: Boosting | None, estimator: Any, rounds: int) -> Any:
    if boosting is None:
        raise SpecError(
            f"training.early_stopping is for HistGradientBoosting, XGBoost and LightGBM; {type(estimator).__name__} is "
            f"none of them. Nothing was trained and the champion stays. Leave it out, or set what the estimator has "
            f"for it in training.params."
        )
    return lambda held_out: boosting.stop_early(estimator, rounds, held_out)


def _held_out(training: TrainingSpec, split: DatasetSplit, frame: Any) -> NDArray[np.bool_] | None:
    """Choose the rows to stop by: as the split was made, by time or by chance."""
    if training.early_stopping is None:
        return None
    by_time = split.method == "time" and split.timestamp is not None
    return hold_out(
        len(frame),
        fraction=training.early_stopping.fraction,
        moments=frame[split.timestamp].to_numpy() if by_time else None,
        rng=np.random.default_rng(training.seed),
    )
