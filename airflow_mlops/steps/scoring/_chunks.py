"""Scoring: a file's rows become predictions, chunk by chunk, while others are read, logged and written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.arrow.row_hashes import row_hashes
from airflow_mlops.adapters.storage.inference_log import InferenceLog, log_table
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import Role, logged_scores
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.predict import PredictionSpec
from airflow_mlops.steps.registry.models import LoadedModel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Scoring"]


@dataclass(kw_only=True)
class Scoring:
    """Scores chunks; the inference log is written beside it, by a thread.

    :param version: whose model it is, for each row to say.
    :param at: the time that each row says.
    :param n_logged: rows that the log got.
    """

    model: LoadedModel
    version: ModelVersion
    at: datetime
    prediction: PredictionSpec
    log: InferenceLog
    n_logged: int = field(default=0, init=False)
    _logging: Future[int] | None = field(default=None, init=False)

    def write(self, rows: DatasetSnapshot, path: Path) -> arrow.ParquetDigestWriter:
        """Write the predictions for all rows, and return the closed writer."""
        with ThreadPoolExecutor(1, "inference-log") as pool:
            batches = self._batches(rows, pool)
            first = next(batches)
            with arrow.ParquetDigestWriter(path, first.schema) as writer:
                for batch in itertools.chain([first], batches):
                    writer.write(batch)
            self._await_log()
        return writer

    def _batches(self, rows: DatasetSnapshot, pool: ThreadPoolExecutor) -> Iterator[pa.RecordBatch]:
        spec, first = self.prediction, 1
        names = list(dict.fromkeys([*spec.key, *spec.keep, *self.model.columns]))
        for chunk in arrow.read_chunks(rows.data_uri, names, spec.chunk_rows):
            try:
                values, scores = self._predict(arrow.frame_of(chunk, self.model.columns))
            except EvaluationError as error:
                raise EvaluationError(
                    f"{error} This was in rows {first} to {first + chunk.num_rows - 1} of {rows.n_rows}. No prediction "
                    f"was written. Fix these rows, or validate the data so that such rows are set aside."
                ) from error
            first += chunk.num_rows
            if spec.log:
                self._await_log()
                self._logging = pool.submit(self._log_chunk, chunk, values, scores)
            yield arrow.predicted_rows(
                chunk,
                [*spec.key, *spec.keep],
                values=values,
                scores=scores,
                model_version=self.version.model_version,
                model_digest=self.version.model_digest,
                at=self.at,
            )

    def _predict(self, frame: Any) -> tuple[Any, Any]:
        values, scores, classes = self.model.predict(frame), self.model.scores(frame), self.model.classes
        return values, None if scores is None or classes is None else logged_scores(scores, values, classes)

    def _await_log(self) -> None:
        if self._logging is not None:
            self.n_logged += self._logging.result()
            self._logging = None

    def _log_chunk(self, chunk: pa.RecordBatch, values: Any, scores: Any) -> int:
        """Log the rows of a chunk that are drawn, and return how many they are; a retry draws the same."""
        spec = self.prediction
        if spec.log is None:
            return 0
        if spec.log.sample_fraction < 1:
            drawn = np.flatnonzero(row_hashes(chunk.select(list(spec.key))) / 2**64 < spec.log.sample_fraction)
            chunk, values, scores = chunk.take(drawn), values[drawn], None if scores is None else scores[drawn]
        if chunk.num_rows:
            table = log_table(
                arrow.table_of(chunk, self.model.columns),
                ids=arrow.row_ids(chunk, spec.key),
                request_id=self.log.writer,
                at=self.at,
                model_version=self.version.model_version,
                model_digest=self.version.model_digest,
                role=Role.BATCH,
                predictions=values,
                scores=scores,
                redact=spec.log.redact,
            )
            self.log.write(table, at=self.at)
        return int(chunk.num_rows)
