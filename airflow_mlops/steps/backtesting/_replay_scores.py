"""How good what serves in a replay is on the rows that came next, and what the inference log has of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.arrow import slice_codes
from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.core.backtesting.backtest import MonthError
from airflow_mlops.core.scoring.inference_log import Role, logged_scores
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.stats.metrics import value_of
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.errors import EvaluationError, SpecError, did_you_mean
from airflow_mlops.specs.data import in_utc
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.steps.evaluation.evaluate import metrics_of
from airflow_mlops.steps.evaluation.predictions import predict_all
from airflow_mlops.steps.platform import Platform, inference_folder
from airflow_mlops.steps.registry.models import LoadedModel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NO_SCORE", "MomentScore", "log_predictions", "score_moment"]


@dataclass(frozen=True, kw_only=True)
class MomentScore:
    """The gate's first metric on the rows of a time.

    :param error: ``None`` without rows, or where the metric can't be computed from them.
    :param model: that said it, in memory.
    :param at: ``(n_rows,) datetime64[us]``, in UTC.
    """

    error: float | None = None
    n_rows: int = 0
    months: tuple[MonthError, ...] = ()
    model: LoadedModel | None = None
    at: NDArray[np.datetime64] | None = None


NO_SCORE = MomentScore()


def score_moment(
    rows: pa.Table,
    model: TrainedModel,
    *,
    split: DatasetSplit,
    gate: GateSpec,
    timestamp: str | None,
    at: datetime,
    platform: Platform,
) -> MomentScore:
    """Score a model on rows, without intervals and without recording anything.

    :param rows: with their target; at least one.
    :param split: what the model was trained on, whose classes it may predict.
    :param timestamp: the rows' column of times; where they do not have it, they are of ``at``.
    :raises EvaluationError: when a target is null, or the model can't predict the rows.
    """
    frame = rows.to_pandas(date_as_object=False)
    n_null = int(frame[model.target].isna().sum())
    if n_null:
        raise EvaluationError(
            f"The target {model.target!r} is null in {n_null} of {len(frame)} rows from {at:%Y-%m-%d %H:%M} on, so "
            f"what served can't be scored. The replay ended there. End it earlier (--to), or leave such rows out."
        )
    predictions = predict_all(frame, model, None, split=split, gate=gate, platform=platform)
    metric = next(iter(metrics_of(gate, predictions).values()))
    n_classes = 0 if predictions.classes is None else len(predictions.classes)
    said = predictions.models["challenger"]

    def error_of(places: NDArray[np.intp]) -> float | None:
        value = value_of(metric, predictions.y_true[places], said.at(places), n_classes)
        return value if math.isfinite(value) else None

    moments = _moments(rows, timestamp, at)
    months = moments.astype("datetime64[M]")
    parts = [(str(month), np.flatnonzero(months == month)) for month in np.unique(months)]
    errors = [(month, error_of(places), len(places)) for month, places in parts]
    return MomentScore(
        error=error_of(np.arange(len(frame))),
        n_rows=len(frame),
        months=tuple(MonthError(month=month, error=error, n_rows=n) for month, error, n in errors if error is not None),
        model=predictions.challenger,
        at=moments,
    )


def log_predictions(
    rows: pa.Table,
    score: MomentScore,
    model: TrainedModel,
    *,
    model_version: int,
    performance: PerformanceSpec,
    writer: str,
    platform: Platform,
) -> None:
    """Write what served into the inference log, as if each row had been asked at its own time.

    :param writer: of the time: one that is replayed again replaces what it wrote.
    :raises SpecError: when the rows lack the id by which labels find their predictions.
    """
    loaded, at = score.model, score.at
    if loaded is None or at is None:
        return
    if performance.id and performance.id not in rows.column_names:
        raise SpecError(
            f"performance.id {performance.id!r} is no column of the data, so a backtest can't tell which label is of "
            f"which row.{did_you_mean(performance.id, rows.column_names)} Add it to the data, or find labels by "
            f"performance.entity."
        )
    log = InferenceLog(inference_folder(model.model_name, storage=platform.storage), writer=writer)
    days = at.astype("datetime64[D]")
    for day in np.unique(days):
        places = np.flatnonzero(days == day)
        (some,) = rows.take(places).combine_chunks().to_batches()
        frame = arrow.frame_of(some, loaded.columns)
        values, scores, classes = loaded.predict(frame), loaded.scores(frame), loaded.classes
        ids = [f"{writer}-{place}" for place in places]
        table = log_table(
            arrow.table_of(some, loaded.columns),
            ids=arrow.row_ids(some, [performance.id]) if performance.id else ids,
            request_id=writer,
            at=at[places].tolist(),
            model_version=model_version,
            model_digest=model.model_digest,
            role=Role.CHAMPION,
            predictions=values,
            scores=None if scores is None or classes is None else logged_scores(scores, values, classes),
        )
        log.write(table, at=in_utc(day.astype("datetime64[us]").item()))


def _moments(rows: pa.Table, timestamp: str | None, at: datetime) -> NDArray[np.datetime64]:
    """Return when each row was true, in UTC."""
    if timestamp in rows.column_names:
        return slice_codes.moments_of(rows.column(timestamp))
    return np.full(rows.num_rows, np.datetime64(in_utc(at).replace(tzinfo=None), "us"))
