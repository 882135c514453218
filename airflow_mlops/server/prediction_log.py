"""The server's inference log: rows are left to a thread, which writes them in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253  # a server has its model's libraries loaded anyway
import pyarrow as pa
from numpy.typing import NDArray

from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.rollout.deployment import share_of
from airflow_mlops.core.scoring.inference_log import Role, logged_scores
from airflow_mlops.server.background import Background
from airflow_mlops.server.models import ServedModel
from airflow_mlops.specs.inference import InferenceLogSpec
from airflow_mlops.steps.platform import inference_folder

__all__ = ["LoggedRows", "PredictionLog"]

_CAPACITY_ROWS = 100_000
_BATCH_ROWS = 5_000
_INTERVAL_S = 5.0
_CLOSE_TIMEOUT_S = 30.0
_TRIM_FRACTION = 0.05
"""Of the log's size on disk, that may be written before it is measured again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedRows:
    """Rows of one request that one version scored.

    :param ids: ``(n_rows,)``.
    :param frame: the rows as the model saw them.
    :param predictions: ``(n_rows,)``; ``None`` where the model failed.
    :param error: why there are none; never a value of the data.
    """

    model: ServedModel
    role: Role
    ids: NDArray[np.object_]
    request_id: str
    at: datetime
    frame: Any
    predictions: NDArray[np.generic] | None = None
    latency_ms: float | None = None
    error: str | None = None


class PredictionLog:
    """Keeps a sample of the requests, never makes one wait, and never grows beyond its size.

    :param on_write: is called with the number of rows that were written.
    :param on_drop: the same of those that were lost: the thread was behind, or they could not be written.
    """

    def __init__(
        self,
        model_name: str,
        spec: InferenceLogSpec,
        *,
        storage: Storage,
        on_write: Callable[[int], None],
        on_drop: Callable[[int], None],
    ) -> None:
        self._spec, self._on_write = spec, on_write
        self._files = InferenceLog(inference_folder(model_name, storage=storage))
        self._max_bytes = spec.max_bytes
        self._n_untrimmed_bytes = self._max_bytes  # an earlier server may have left a log that is full
        self._background = Background(
            "inference log",
            self._write,
            capacity=_CAPACITY_ROWS,
            batch_weight=_BATCH_ROWS,
            interval_s=_INTERVAL_S,
            on_drop=on_drop,
        )

    def add(self, rows: LoggedRows) -> None:
        """Keep rows, if their request is in the sample."""
        if share_of("inference log", rows.request_id) < self._spec.sample_fraction:
            self._background.offer(rows, len(rows.ids))

    def close(self) -> bool:
        """Write what waits, and return whether that was done in time."""
        return self._background.close(_CLOSE_TIMEOUT_S)

    def _write(self, batch: Sequence[LoggedRows]) -> None:
        groups: dict[tuple[object, ...], list[LoggedRows]] = {}
        for rows in batch:
            key = (rows.model, rows.role, rows.predictions is None, rows.at.date(), tuple(rows.frame.columns))
            groups.setdefault(key, []).append(rows)
        for group in groups.values():
            table = _table(group, self._spec.redact)
            path = self._files.write(table, at=group[0].at)
            self._n_untrimmed_bytes += path.stat().st_size
            self._on_write(len(table))
        if self._n_untrimmed_bytes > self._max_bytes * _TRIM_FRACTION:
            self._files.trim(int(self._max_bytes * (1 - _TRIM_FRACTION)))
            self._n_untrimmed_bytes = 0


def _table(group: Sequence[LoggedRows], redact: Sequence[str]) -> pa.Table:
    """Return the rows that one version scored in one role, as a table of the log."""
    frame = pd.concat([rows.frame for rows in group], ignore_index=True)
    model = group[0].model
    predictions: Any = pa.nulls(len(frame), pa.array(model.said).type)  # or no reader could join it to the others
    scores = None
    if group[0].predictions is not None:
        predictions = np.concatenate([rows.predictions for rows in group if rows.predictions is not None])
        probabilities = model.loaded.scores(frame)  # asked here once for many, and not while somebody waits
        classes = model.loaded.classes
        if probabilities is not None and classes is not None:
            scores = logged_scores(probabilities, predictions, classes)
    return log_table(
        pa.Table.from_pandas(frame, preserve_index=False),
        ids=[each for rows in group for each in rows.ids],
        request_id=_for_each_row(group, (rows.request_id for rows in group)),
        at=_for_each_row(group, (rows.at for rows in group)),
        latency_ms=_for_each_row(group, (rows.latency_ms for rows in group)),
        error=_for_each_row(group, (rows.error for rows in group)),
        model_version=model.number,
        model_digest=model.version.model_digest,
        role=group[0].role,
        predictions=predictions,
        scores=scores,
        redact=redact,
    )


def _for_each_row(group: Sequence[LoggedRows], values: Iterable[Any]) -> list[Any]:
    return [value for rows, value in zip(group, values, strict=True) for _ in rows.ids]
