"""The pictures of an evaluation, by name, as SVG."""

from __future__ import annotations

import numpy as np

from airflow_mlops.adapters import plots
from airflow_mlops.adapters.plots import Who
from airflow_mlops.core.evaluation.slices import Slice, SliceScore, score_slice
from airflow_mlops.core.stats.curves import score_curves
from airflow_mlops.steps.evaluation._evidence import Evidence
from airflow_mlops.steps.evaluation.predictions import Predictions

__all__ = ["draw"]

_MODELS: tuple[Who, ...] = ("challenger", "champion")


def draw(predictions: Predictions, evidence: Evidence, *, target: str) -> dict[str, str]:
    """Draw what there is to see.

    :param target: the target's name, for the axes.
    :returns: SVG by name.
    """
    pictures = (
        _of_classes(predictions, evidence) if predictions.classes is not None else _of_numbers(predictions, target)
    )
    loss, scores = evidence.losses.name, _slice_scores(evidence)
    if scores:
        overall = float(evidence.losses.by_model["challenger"].mean())
        pictures["slices"] = plots.slices_plot(scores, loss=loss, overall=overall)
    if evidence.timeline and len(evidence.timeline.bins) > 1:
        pictures["errors_by_time"] = plots.timeline_plot(evidence.timeline, loss=loss)
    importances = {
        who: {each.feature: each.importance for each in evidence.importance[who]}
        for who in _MODELS
        if evidence.importance.get(who)
    }
    if importances:
        measure = "rise of the mean absolute error" if predictions.task == "regression" else "loss of accuracy"
        pictures["importance"] = plots.importance_plot(importances, measure=measure)
    return pictures


def _of_numbers(predictions: Predictions, target: str) -> dict[str, str]:
    said = {who: predictions.models[who].values.astype(np.float64) for who in _MODELS if who in predictions.models}
    return {"residuals": plots.residuals_plot(predictions.y_true, said, target=target)}


def _of_classes(predictions: Predictions, evidence: Evidence) -> dict[str, str]:
    classes = [] if predictions.classes is None else [str(each) for each in predictions.classes.tolist()]
    y_true, size = predictions.y_true.astype(np.int64), len(classes)
    models = {who: predictions.models[who] for who in _MODELS if who in predictions.models}
    counts = {
        who: np.bincount(y_true * size + said.values.astype(np.int64), minlength=size * size).reshape(size, size)
        for who, said in models.items()
    }
    pictures = {"confusion_matrix": plots.confusion_matrix_plot(counts, classes)}
    is_positive = y_true == 1
    if evidence.calibration and 0 < is_positive.sum() < len(y_true):
        curves = {
            who: score_curves(is_positive, said.scores[:, 1]) for who, said in models.items() if said.scores is not None
        }
        pictures["score_curves"] = plots.score_curves_plot(
            curves, positive=classes[1], positive_fraction=float(is_positive.mean())
        )
        calibration = {who: evidence.calibration[who] for who in _MODELS if who in evidence.calibration}
        pictures["calibration"] = plots.calibration_plot(calibration, positive=classes[1])
    return pictures


def _slice_scores(evidence: Evidence) -> list[SliceScore]:
    """Return the mean losses in each slice."""
    losses = evidence.losses.by_model
    return [
        score_slice(
            Slice(columns=(), conditions=(part.name,), n_rows=len(part.rows)),
            part.rows,
            challenger=losses["challenger"],
            champion=losses.get("champion"),
        )
        for part in evidence.slices
    ]
