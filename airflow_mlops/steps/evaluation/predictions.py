"""What challenger, champion and naive baseline say of the held-out rows, in one form for all metrics."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.sklearn import labels
from airflow_mlops.core.data.bins import profile_values
from airflow_mlops.core.data.profile import ColumnProfile
from airflow_mlops.core.evaluation.report import check_predictions, naive_prediction
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import InferenceColumn, logged_scores
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.stats.metrics import METRICS, Predicted
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import EvaluationError, MlopsError, SpecError, UnavailableError, did_you_mean
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.models import LoadedModel, load_model

__all__ = ["Predictions", "predict_all"]

log = logging.getLogger(__name__)

_STAYS = "Nothing was blessed and the champion stays."


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Everybody's predictions of the same rows.

    :param y_true: ``(n_rows,)``: numbers, or places in ``classes``.
    :param models: of ``challenger``, ``baseline`` and, where it could be scored, ``champion``.
    :param classes: the labels, where classes are predicted; of two the positive one is the second.
    :param profiles: of what the challenger says, as the inference log will have it.
    """

    task: Literal["regression", "classification"]
    y_true: NDArray[Any]
    models: dict[str, Predicted]
    classes: NDArray[Any] | None = None
    profiles: tuple[ColumnProfile, ...]
    challenger: LoadedModel
    champion: LoadedModel | None = None
    champion_error: str | None = None


@dataclass(frozen=True)
class _Raw:
    """What a model said, in its own words."""

    values: NDArray[Any]
    scores: NDArray[Any] | None = None
    classes: tuple[Any, ...] = ()


def predict_all(
    frame: Any,
    model: TrainedModel,
    champion: ModelVersion | None,
    *,
    split: DatasetSplit,
    gate: GateSpec,
    platform: Platform,
) -> Predictions:
    """Let everybody predict the held-out rows.

    A champion that can't be loaded or can't predict is no failure: it is said, and left out.

    :param frame: the held-out rows, as a pandas data frame.
    :raises EvaluationError: when the challenger can't predict the rows, or what it says does not fit the target.
    """
    wants_scores = any(metric.needs_scores for name, metric in METRICS.items() if name in gate.metrics)
    challenger = load_model("The challenger", model.model_uri, model.model_digest, platform=platform)
    said = {"challenger": _say(challenger, frame, wants_scores)}
    loaded, error = None, None
    if champion is not None:
        try:
            uri = f"models:/{champion.model_name}/{champion.model_version}"
            loaded = load_model("The champion", uri, champion.model_digest, platform=platform)
            said["champion"] = _say(loaded, frame, wants_scores)
        except UnavailableError:
            raise
        except MlopsError as refused:
            error = str(refused)
            log.warning("champion could not be scored: model_version=%d error=%s", champion.model_version, error)
    task = gate.task or ("regression" if challenger.classes is None else "classification")
    to_common = _numbers if task == "regression" else _codes
    y_true, models, classes = to_common(frame[model.target].to_numpy(), said, frame, model, split, gate)
    return Predictions(
        task=task,
        y_true=y_true,
        models=models,
        classes=classes,
        profiles=_profiles(said["challenger"]),
        challenger=challenger,
        champion=loaded,
        champion_error=error,
    )


def _say(model: LoadedModel, frame: Any, wants_scores: bool) -> _Raw:
    scores = model.scores(frame) if wants_scores else None
    classes = () if model.classes is None else tuple(model.classes.tolist())
    return _Raw(values=model.predict(frame), scores=scores, classes=classes)


def _profiles(raw: _Raw) -> tuple[ColumnProfile, ...]:
    """Return the profiles of what a model says and, where that was asked, of the scores that the log will keep."""
    said = profile_values(InferenceColumn.PREDICTION, raw.values)
    if raw.scores is None:
        return (said,)
    logged = logged_scores(raw.scores, raw.values, np.asarray(raw.classes))
    return said, profile_values(InferenceColumn.SCORE, logged)


def _numbers(
    truth: NDArray[Any],
    said: dict[str, _Raw],
    frame: Any,
    model: TrainedModel,
    split: DatasetSplit,
    gate: GateSpec,
) -> tuple[NDArray[Any], dict[str, Predicted], None]:
    """Return truth and predictions as numbers."""
    for who, values in (("target", truth), *((who, raw.values) for who, raw in said.items())):
        if values.dtype.kind not in "biuf":
            whose = f"a target of type {values.dtype}" if who == "target" else f"what the {who} says ({values.dtype})"
            raise EvaluationError(
                f"{next(iter(gate.metrics))} can't be computed from {whose}. Choose a metric that fits the target in "
                f"gate.metrics. {_STAYS}"
            )
    models = {who: Predicted(values=raw.values.astype(np.float64)) for who, raw in said.items()}
    if gate.baseline == "column":
        naive = check_predictions("The naive baseline", _baseline_column(frame, gate), len(frame)).astype(np.float64)
    else:
        strategy: Literal["mean", "median"] = "median" if gate.baseline == "median" else "mean"
        naive = np.full(len(frame), naive_prediction(strategy, _training_target(model, split)))
    return truth.astype(np.float64), models | {"baseline": Predicted(values=naive)}, None


def _codes(
    truth: NDArray[Any],
    said: dict[str, _Raw],
    frame: Any,
    model: TrainedModel,
    split: DatasetSplit,
    gate: GateSpec,
) -> tuple[NDArray[Any], dict[str, Predicted], NDArray[Any]]:
    """Return truth and predictions as places in the list of classes, with the probability of each class."""
    known = _training_target(model, split)
    naive = _baseline_column(frame, gate) if gate.baseline == "column" else None
    columns: list[Any] = [truth, known]
    for raw in said.values():
        columns += [raw.values, raw.classes]
    try:
        classes = labels.classes_of(*columns, *([] if naive is None else [naive]))
    except TypeError as error:
        types = ", ".join(f"the {who} says {raw.values.dtype}" for who, raw in said.items())
        raise EvaluationError(
            f"Target and predictions are of kinds that can't be compared: the target is {truth.dtype}, {types} "
            f"({error}). {_STAYS}"
        ) from error
    classes = _positive_last(classes, gate)
    models = {
        who: Predicted(values=labels.codes_of(raw.values, classes), scores=_scores_of(raw, classes))
        for who, raw in said.items()
    }
    if naive is not None:
        models["baseline"] = Predicted(values=labels.codes_of(naive, classes))
    else:
        shares = labels.shares_of(known, classes)
        models["baseline"] = Predicted(
            values=np.full(len(frame), int(shares.argmax()), np.int32), scores=np.tile(shares, (len(frame), 1))
        )
    return labels.codes_of(truth, classes), models, classes


def _positive_last(classes: NDArray[Any], gate: GateSpec) -> NDArray[Any]:
    if len(classes) < 2:
        raise EvaluationError(
            f"There is one class only, {classes.tolist()}: nothing can be told apart. {_STAYS} See what the target is."
        )
    wanted = gate.positive_class
    if wanted is None:
        return classes
    if wanted not in classes.tolist():
        raise SpecError(f"gate.positive_class {wanted!r} is none of the classes {classes.tolist()[:20]}. {_STAYS}")
    return np.asarray(sorted(classes.tolist(), key=lambda each: each == wanted), dtype=classes.dtype)


def _scores_of(raw: _Raw, classes: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return a model's probabilities in the order of all classes; those that it does not know have none."""
    if raw.scores is None:
        return None
    found = np.zeros((len(raw.values), len(classes)))
    found[:, labels.codes_of(np.asarray(raw.classes), classes)] = raw.scores
    return found


def _training_target(model: TrainedModel, split: DatasetSplit) -> NDArray[Any]:
    arrow.check_rows(split.train.uri, split.train.digest)
    target: NDArray[Any] = arrow.read_column(split.train.uri, model.target)
    return target


def _baseline_column(frame: Any, gate: GateSpec) -> NDArray[Any]:
    column = str(gate.baseline_column)
    if column not in frame:
        raise SpecError(f"gate.baseline_column {column!r} is not in the data.{did_you_mean(column, frame.columns)}")
    values: NDArray[Any] = frame[column].to_numpy()
    return values
