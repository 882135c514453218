"""What stands beside the metrics: slices, fairness, errors by time, importance, calibration. All from the same rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.arrow import slice_codes
from airflow_mlops.adapters.sklearn import importance
from airflow_mlops.core.evaluation.fairness import FairnessReport, classification_fairness, regression_fairness
from airflow_mlops.core.evaluation.importance import FeatureImportance, importance_changes
from airflow_mlops.core.evaluation.score import SliceRows
from airflow_mlops.core.evaluation.slices import SlicedColumn
from airflow_mlops.core.evaluation.timeline import ErrorTimeline, errors_by_time
from airflow_mlops.core.evaluation.worst_slices import WorstSlice, find_worst_slices
from airflow_mlops.core.stats.calibration import Calibration, measure_calibration
from airflow_mlops.core.stats.metrics import Losses, losses_of
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.evaluate import FairnessRules, GateSpec, SliceRules
from airflow_mlops.steps.evaluation.predictions import Predictions
from airflow_mlops.steps.registry.models import LoadedModel

__all__ = ["Evidence", "gather_evidence", "slice_rows"]

log = logging.getLogger(__name__)

_MAX_ATTRIBUTE_VALUES = 50
_IMPORTANCE_CELLS = 200_000
"""So many predictions may be asked for to measure what features matter, for each model."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was found beside the metrics.

    :param calibration: by model, of two classes and where there are probabilities.
    """

    losses: Losses
    slices: tuple[SliceRows, ...] = ()
    fairness: tuple[FairnessReport, ...] = ()
    timeline: ErrorTimeline | None = None
    importance: dict[str, tuple[FeatureImportance, ...]]
    calibration: dict[str, Calibration]

    def fields(self) -> dict[str, Any]:
        """Return what of it stands in the report."""
        ours, theirs = (self.importance.get(who, ()) for who in ("challenger", "champion"))
        return {
            "fairness": self.fairness,
            "timeline": self.timeline,
            "importance": ours,
            "importance_changes": importance_changes(reference=theirs, current=ours) if ours and theirs else (),
            "calibration_errors": {who: each.expected_error for who, each in self.calibration.items()},
        }


def gather_evidence(
    predictions: Predictions, frame: Any, gate: GateSpec, *, timestamp: str | None, target: str
) -> Evidence:
    """Look at the predictions from every side that the gate or a person may ask about.

    :param frame: the held-out rows, as a pandas data frame.
    :param timestamp: the column of times, if there is one.
    """
    losses = losses_of(predictions.task, predictions.y_true, predictions.models)
    return Evidence(
        losses=losses,
        slices=slice_rows(losses, predictions.challenger, frame, gate.slices) if gate.slices else (),
        fairness=_fairness(predictions, frame, gate.fairness) if gate.fairness else (),
        timeline=_timeline(losses, frame[timestamp]) if timestamp in frame else None,
        importance=_importance(predictions, frame, target, gate.seed),
        calibration=_calibration(predictions),
    )


def slice_rows(losses: Losses, challenger: LoadedModel, frame: Any, rules: SliceRules) -> tuple[SliceRows, ...]:
    """Return the slices of the named columns, and the worst of all others, each with at least ``min_rows`` rows.

    :raises SpecError: when a named column is not there, or has no slices.
    """
    named = slice_codes.slice_columns(frame, rules.columns)
    found = [
        SliceRows(name=text, rows=np.flatnonzero(column.codes == place))
        for column in named
        for place, text in enumerate(column.conditions)
    ]
    if rules.worst:
        others = [name for name in challenger.columns if name not in rules.columns and _has_slices(frame[name])]
        columns = (*named, *slice_codes.slice_columns(frame, others))
        loss = losses.by_model["challenger"]
        worst = find_worst_slices(loss, columns, min_rows=rules.min_rows, top=rules.worst)
        known = {part.name for part in found}
        found += [_rows_of(each, columns) for each in worst if each.slice.name not in known]
    return tuple(part for part in found if len(part.rows) >= rules.min_rows)


def _rows_of(worst: WorstSlice, columns: tuple[SlicedColumn, ...]) -> SliceRows:
    by_name = {column.name: column for column in columns}
    is_in: NDArray[np.bool_] = np.ones(len(columns[0].codes), bool)
    for name, condition in zip(worst.slice.columns, worst.slice.conditions, strict=True):
        is_in &= by_name[name].codes == by_name[name].conditions.index(condition)
    return SliceRows(name=worst.slice.name, rows=np.flatnonzero(is_in), is_found=True)


def _has_slices(column: Any) -> bool:
    """Return whether a column is of numbers, booleans or text."""
    return column.dtype.kind in "biuf" or column.map(type).isin((str, type(None), float)).all()


def _fairness(predictions: Predictions, frame: Any, rules: FairnessRules) -> tuple[FairnessReport, ...]:
    """Return how the challenger treats the groups of each attribute."""
    groups = slice_codes.slice_columns(frame, rules.attributes, max_values=_MAX_ATTRIBUTE_VALUES)
    y_true, said = predictions.y_true, predictions.models["challenger"].values
    if predictions.task == "regression":
        return tuple(regression_fairness(each, y_true=y_true, y_pred=said, min_rows=rules.min_rows) for each in groups)
    return tuple(
        classification_fairness(each, y_true=y_true == 1, y_pred=said == 1, min_rows=rules.min_rows) for each in groups
    )


def _timeline(losses: Losses, moments: Any) -> ErrorTimeline | None:
    by_model = losses.by_model
    try:
        times = slice_codes.moments_of(moments)
    except ValueError as error:  # the features may have made text of it
        log.warning("errors by time were left out: error=%s", error)
        return None
    return errors_by_time(times, challenger=by_model["challenger"], champion=by_model.get("champion"))


def _importance(
    predictions: Predictions, frame: Any, target: str, seed: int
) -> dict[str, tuple[FeatureImportance, ...]]:
    """Return how much each model relies on each of its features: what its score loses without it.

    It explains and decides nothing, so what can't be measured is left out.
    """
    is_regression = predictions.task == "regression"

    def score(y_true: NDArray[Any], y_pred: NDArray[Any]) -> float:
        if is_regression:
            return -float(np.abs(y_pred.astype(np.float64) - y_true.astype(np.float64)).mean())
        return float((y_pred == y_true).mean())

    found = {}
    for who, model in (("challenger", predictions.challenger), ("champion", predictions.champion)):
        if model is None or who not in predictions.models:
            continue
        try:
            found[who] = importance.permutation_importance(
                model.predict,
                frame,
                frame[target].to_numpy(),
                features=model.columns,
                score=score,
                max_rows=min(2000, max(100, _IMPORTANCE_CELLS // (5 * len(model.columns)))),
                seed=seed,
            )
        except EvaluationError as error:
            log.warning("importance of features was left out: who=%s error=%s", who, error)
    return found


def _calibration(predictions: Predictions) -> dict[str, Calibration]:
    """Return of each model whether its probabilities are what happens."""
    if predictions.classes is None or len(predictions.classes) != 2:
        return {}
    return {
        who: measure_calibration(predictions.y_true == 1, said.scores[:, 1])
        for who, said in predictions.models.items()
        if said.scores is not None and who != "baseline"
    }
