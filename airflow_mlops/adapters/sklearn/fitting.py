"""scikit-learn: an estimator or a pipeline is fitted, with weights and with rows to stop by, and scored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from airflow_mlops.core.training.fit import Rows
from airflow_mlops.errors import SpecError

__all__ = ["end_worker_processes", "final_estimator", "fit_model", "score_fit", "weigh_classes"]


def final_estimator(model: Any) -> Any:
    """Return what predicts: the last step of a pipeline, also of one in a pipeline."""
    return final_estimator(model.steps[-1][1]) if isinstance(model, Pipeline) else model


def weigh_classes(model: Any, rows: Rows, class_weight: Any) -> Rows:
    """Give the classes their weights: the estimator's own ``class_weight``, or else weights of the rows.

    :param class_weight: ``balanced``, or the weight of each label.
    :raises SpecError: when the model is no classifier.
    """
    estimator = final_estimator(model)
    if not _is_classifier(estimator):
        raise SpecError(
            f"training.class_weight needs a classifier; {type(estimator).__name__} is none. Nothing was trained and "
            f"the champion stays. Leave it out, or weigh rows by training.sample_weight."
        )
    if "class_weight" in estimator.get_params():
        estimator.set_params(class_weight=class_weight)
        return rows
    by_class = compute_sample_weight(class_weight, rows.target)
    return replace(rows, weights=by_class if rows.weights is None else by_class * rows.weights)


def fit_model(
    model: Any,
    rows: Rows,
    *,
    arguments: Mapping[str, Any],
    held_out: Rows | None = None,
    stopping: Callable[[Rows], Mapping[str, Any]] | None = None,
) -> Any:
    """Fit a model to rows.

    :param arguments: more arguments of the final estimator's ``fit``.
    :param held_out: rows to stop by. What stands before the estimator is fitted without them, and transforms them.
    :param stopping: gives the final estimator's arguments for them, once they are transformed.
    :raises SpecError: when the rows have weights and the estimator takes none.
    """
    _check_takes_weights(model, rows)
    if held_out is None or stopping is None:
        weights = {} if rows.weights is None else {"sample_weight": rows.weights}
        prefix = _prefix_of(model)
        named = {f"{prefix}{name}": value for name, value in {**arguments, **weights}.items()}
        return model.fit(rows.features, rows.target, **named)
    if not isinstance(model, Pipeline):
        return fit_model(model, rows, arguments={**arguments, **stopping(held_out)})
    if len(model.steps) > 1:
        before = model[:-1]
        rows = replace(rows, features=before.fit_transform(rows.features, rows.target))
        held_out = replace(held_out, features=before.transform(held_out.features))
        model.steps[:-1] = before.steps  # with a memory they are not those that it was given
    fit_model(model.steps[-1][1], rows, arguments=arguments, held_out=held_out, stopping=stopping)
    return model


def score_fit(model: Any, features: Any, target: NDArray[Any], predictions: NDArray[Any]) -> dict[str, float]:
    """Return how well a model fits rows that it was trained on, by scikit-learn's names of the metrics.

    A model without ``predict_proba`` has no ``log_loss``.

    :param predictions: ``(n_rows,)``, of the rows.
    """
    if _is_classifier(final_estimator(model)) or hasattr(model, "predict_proba") or target.dtype.kind not in "fiu":
        scores = {"accuracy": float(accuracy_score(target, predictions))}
        if hasattr(model, "predict_proba") and hasattr(model, "classes_"):
            scores["log_loss"] = float(log_loss(target, model.predict_proba(features), labels=model.classes_))
        return scores
    return {
        "mean_absolute_error": float(mean_absolute_error(target, predictions)),
        "root_mean_squared_error": float(root_mean_squared_error(target, predictions)),
        "r2": float(r2_score(target, predictions)) if len(target) > 1 else 0.0,
    }


def end_worker_processes() -> None:
    """End the processes of ``n_jobs``, if there are any: they would keep a failed task from ending for a minute."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    # To ask joblib for its executor would start one.
    executor = getattr(loky, "_executor", None)
    if executor is not None:
        executor.shutdown(wait=True, kill_workers=True)


def _is_classifier(estimator: Any) -> bool:
    """Return whether it says that it is one; a class of the user's may say nothing."""
    return hasattr(estimator, "__sklearn_tags__") and bool(is_classifier(estimator))


def _check_takes_weights(model: Any, rows: Rows) -> None:
    estimator = final_estimator(model)
    if rows.weights is not None and not has_fit_parameter(estimator, "sample_weight"):
        raise SpecError(
            f"{type(estimator).__name__} takes no weights of rows: its `fit` has no sample_weight. Nothing was trained "
            f"and the champion stays. Choose another estimator, or leave out training.sample_weight and "
            f"training.class_weight."
        )


def _prefix_of(model: Any) -> str:
    return f"{model.steps[-1][0]}__{_prefix_of(model.steps[-1][1])}" if isinstance(model, Pipeline) else ""
