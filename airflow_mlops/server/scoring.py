"""One request: who scores which of its rows, what is answered, and what is logged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.mlflow.scoring import SCORING_ERRORS, ModelFailure, Reply, Scored, invoke
from airflow_mlops.adapters.prometheus import ServerMetrics
from airflow_mlops.core.rollout.deployment import DeploymentMode, challenger_rows
from airflow_mlops.core.scoring.inference_log import Role
from airflow_mlops.server.background import Background
from airflow_mlops.server.models import ServedModel, ServingSet
from airflow_mlops.server.prediction_log import LoggedRows, PredictionLog
from airflow_mlops.server.rows import Rows, read_rows

__all__ = ["Request", "Scoring"]

_SHADOW_CAPACITY_ROWS = 20_000
_CLOSE_TIMEOUT_S = 10.0


@dataclass(kw_only=True)
class Request:
    """A request as it came.

    :param started: when it was there, by :func:`time.perf_counter`.
    :param versions: which of them answered, once they have.
    """

    serving_set: ServingSet
    request_id: str
    body: bytes
    content_type: str
    started: float = field(default_factory=time.perf_counter)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    versions: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _ShadowTask:
    """Rows that a challenger is asked as well.

    :param frame: the same rows as the champion saw them.
    """

    request: Request
    challenger: ServedModel
    rows: Rows
    params: Any
    frame: Any


class Scoring:
    """Answers requests, in as many threads as one likes.

    :param id_column: a column of the requests that says whose a row is; empty where there is none.
    :param log: ``None`` to keep nothing.
    """

    def __init__(self, *, id_column: str, max_rows: int, log: PredictionLog | None, metrics: ServerMetrics) -> None:
        self._id_column, self._max_rows, self._log, self._metrics = id_column, max_rows, log, metrics
        self._shadow = Background(
            "shadow", self._score_shadows, capacity=_SHADOW_CAPACITY_ROWS, on_drop=metrics.count_shadow_drops
        )

    def answer(self, request: Request) -> Reply:
        """Score a request's rows. What is wrong with it is an answer, too."""

        def predict(data: Any, params: Any) -> NDArray[np.generic]:
            return self._predict(request, read_rows(data, self._id_column, request.request_id), params)

        scorer = request.serving_set.champion.scorer
        return invoke(request.body, request.content_type, scorer, predict, max_rows=self._max_rows)

    def close(self) -> None:
        """Have the shadow score what waits."""
        self._shadow.close(_CLOSE_TIMEOUT_S)

    def _predict(self, request: Request, rows: Rows, params: Any) -> NDArray[np.generic]:
        challenger, deployment = request.serving_set.challenger, request.serving_set.deployment
        if challenger is None:
            return self._ask_champion(request, rows, params).predictions
        chosen = challenger_rows(deployment, rows.owners)
        if not chosen.any():
            return self._ask_champion(request, rows, params).predictions
        if deployment.mode is DeploymentMode.CANARY:
            return self._ask_both(request, challenger, rows, params, chosen)
        scored = self._ask_champion(request, rows, params)
        task = _ShadowTask(request, challenger, rows.where(chosen), params, scored.frame[chosen])
        self._shadow.offer(task, len(task.rows.ids))
        return scored.predictions

    def _ask_champion(self, request: Request, rows: Rows, params: Any) -> Scored:
        champion = request.serving_set.champion
        try:
            scored = champion.scorer.score(rows.data, params)
        except ModelFailure as failure:
            self._keep(request, champion, Role.CHAMPION, rows.ids, failure.frame, error=failure)
            raise
        self._keep(request, champion, Role.CHAMPION, rows.ids, scored.frame, scored.predictions)
        return scored

    def _ask_both(
        self, request: Request, challenger: ServedModel, rows: Rows, params: Any, chosen: NDArray[np.bool_]
    ) -> NDArray[np.generic]:
        """Let each version predict its rows; what the challenger can't answer, the champion does."""
        theirs = rows.where(chosen)
        try:
            scored = challenger.scorer.score(theirs.data, params)
        except SCORING_ERRORS as error:
            everything = self._ask_champion(request, rows, params)
            self._keep(request, challenger, Role.CANARY, theirs.ids, everything.frame[chosen], error=error)
            return everything.predictions
        predictions = scored.predictions
        if not chosen.all():
            others = self._ask_champion(request, rows.where(~chosen), params).predictions
            predictions = np.empty(len(chosen), dtype=object)  # each as its own model gave it
            predictions[chosen], predictions[~chosen] = scored.predictions.tolist(), others.tolist()
        self._keep(request, challenger, Role.CANARY, theirs.ids, scored.frame, scored.predictions)
        return predictions

    def _score_shadows(self, tasks: Sequence[_ShadowTask]) -> None:
        for task in tasks:
            started, ids = time.perf_counter(), task.rows.ids
            try:
                scored = task.challenger.scorer.score(task.rows.data, task.params)
            except SCORING_ERRORS as error:
                self._keep(task.request, task.challenger, Role.SHADOW, ids, task.frame, error=error, started=started)
            else:
                frame, predictions = scored.frame, scored.predictions
                self._keep(task.request, task.challenger, Role.SHADOW, ids, frame, predictions, started=started)

    def _keep(
        self,
        request: Request,
        model: ServedModel,
        role: Role,
        ids: NDArray[np.object_],
        frame: Any,
        predictions: NDArray[np.generic] | None = None,
        *,
        error: Exception | None = None,
        started: float | None = None,
    ) -> None:
        """Count and log what a version said of some rows.

        :param started: when that began; by default with the request.
        """
        self._metrics.count_rows(model.number, role, len(ids), is_error=error is not None)
        if role is not Role.SHADOW and error is None:
            request.versions.add(model.number)
        if self._log is not None:
            rows = LoggedRows(
                model=model,
                role=role,
                ids=ids,
                request_id=request.request_id,
                at=request.at,
                frame=frame,
                predictions=predictions,
                latency_ms=(time.perf_counter() - (started or request.started)) * 1000,
                error=_named(error) if error else None,
            )
            self._log.add(rows)


def _named(error: Exception) -> str:
    """Return the kind of an error: its text may quote the rows."""
    return type(error.__cause__ or error).__name__
