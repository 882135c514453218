"""Batch scoring: the rows of a snapshot, scored by one version, into a file and a table, once."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.duckdb_engine.keys import count_repeated
from airflow_mlops.adapters.inference_log import InferenceLog, log_table
from airflow_mlops.adapters.row_hashes import row_hashes
from airflow_mlops.adapters.storage import Storage, write_document
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.inference import Role
from airflow_mlops.core.predict import PredictionBatch, PredictionPlan, check_columns, chosen_scores
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, EvaluationError, SpecError
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.predict import BatchScoringSpec, PredictionSpec, TableOutput
from airflow_mlops.steps._models import LoadedModel, load_model
from airflow_mlops.steps._platform import Platform, folder_name, short
from airflow_mlops.steps.connections import Connections, NoConnections
from airflow_mlops.steps.data import check_snapshot, snapshot_dataset, store_rows
from airflow_mlops.steps.features import feature_rows, feature_source
from airflow_mlops.steps.predict_page import prediction_page
from airflow_mlops.steps.promote import current_champion

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Engine

__all__ = ["batch_dataset", "predict_batch", "score_dataset"]

log = logging.getLogger(__name__)

_DATA, _BATCH, _LOG = "data.parquet", "batch.json", "log"


def batch_dataset(model_name: str) -> str:
    """Return the name that snapshots of the rows that a model scores are kept under."""
    return f"{model_name}.batch"


def score_dataset(
    spec: BatchScoringSpec, *, platform: Platform, run: PipelineRun, connections: Connections | None = None
) -> PredictionBatch:
    """Copy the rows of a dataset, check them and score them.

    :param connections: opens the connections that the spec names; ``None``: there are none.
    :raises DataHaltedError: when the validation halts.
    """
    platform.mlflow.check()
    snapshot = snapshot_dataset(
        spec.data, dataset=batch_dataset(spec.model_name), storage=platform.storage, connections=connections, run=run
    )
    if spec.validation:
        from airflow_mlops.steps.validate import validate_dataset  # which waits for Great Expectations

        report = validate_dataset(snapshot, spec.validation, connections=connections, platform=platform, run=run)
        snapshot = report.require_accepted()
    return predict_batch(snapshot, spec, data=spec.data, connections=connections, platform=platform, run=run)


def predict_batch(
    snapshot: DatasetSnapshot,
    prediction: PredictionSpec,
    *,
    data: DatasetSpec | None = None,
    connections: Connections | None = None,
    platform: Platform,
    run: PipelineRun,
) -> PredictionBatch:
    """Score the rows of a snapshot by one version, and write each prediction once.

    The rows are streamed. The first try of a run settles the version and the moment of the predictions, and its later
    tries keep to both. The file appears whole, the inference log gets its files after that, and the table gets all rows
    in one transaction. A retry finds the file of an earlier try and goes on with the rest.

    :param data: its ``features`` and ``feature_tables`` make the rows that are scored; ``None``: the snapshot's own.
    :param connections: opens the connections that the specs name; ``None``: there are none.
    :raises DataError: when the rows do not fit the model, or two have the same key.
    :raises NoRowsError: when there is no row.
    :raises SpecError: when no version is champion, or the table can't be written.
    :raises EvaluationError: when the model fails, or predicts NaN.
    :raises IntegrityError: when rows, model or predictions are not what was vouched for.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust.
    :raises UnavailableError: when MLflow, the storage or the database does not answer.
    """
    storage, connections = platform.storage, connections or NoConnections()
    with _opened(prediction.output, connections) as engine:
        rows = _with_features(snapshot, data, storage=storage, connections=connections, run=run)
        settings = prediction.model_dump(mode="json", include={"model_name", "model_uri", "key", "keep", "log"})
        key = run.step_key("predict", rows.digest, digest_of(settings))
        place = ("predictions", folder_name(prediction.model_name), short(key))
        if storage.exists(*place):
            batch = PredictionBatch.from_dict(storage.read_json(*place, _BATCH))
            arrow.check_rows(batch.data_uri, batch.digest)
            log.info("predictions found from an earlier try: step_key=%s", key)
        else:
            batch = _score(rows, prediction, place, platform, run)
        _add_to_log(batch, prediction, storage)
        if engine is not None and prediction.output is not None:
            _add_to_table(batch, prediction.output, engine)
    platform.record(run, _report_name(prediction), batch, prediction_page(batch, prediction))
    return batch


def _score(
    rows: DatasetSnapshot, prediction: PredictionSpec, place: tuple[str, str, str], platform: Platform, run: PipelineRun
) -> PredictionBatch:
    """Check everything, score all rows, and publish what came of it as a whole."""
    plan = _settle(prediction, place, platform)
    who, uri = f"{plan.model_name} v{plan.model_version}", f"models:/{plan.model_name}/{plan.model_version}"
    model = load_model(who, uri, plan.model_digest, platform=platform)
    unused = check_columns(model.types, rows, prediction)
    log.info("scoring: model_version=%d n_rows=%d n_unused_columns=%d", plan.model_version, rows.n_rows, len(unused))
    check_snapshot(rows)
    _require_distinct(rows, prediction)
    with platform.storage.staging(*place[:-1]) as staged:
        scoring = _Scoring(model, prediction, plan, InferenceLog(staged / _LOG, writer=f"batch-{place[-1]}"))
        writer = scoring.write(rows, staged / _DATA)
        batch = PredictionBatch(
            model_name=plan.model_name,
            model_version=plan.model_version,
            model_digest=plan.model_digest,
            snapshot_digest=rows.digest,
            uri=str(platform.storage.path(*place)),
            digest=writer.digest,
            n_rows=writer.n_rows,
            columns=writer.columns,
            key=prediction.key,
            n_logged=scoring.n_logged,
            started_at=plan.started_at,
            ended_at=datetime.now(UTC),
            report_uri=platform.report_uri(run, _report_name(prediction)),
        )
        write_document(staged / _BATCH, batch.to_dict())
        platform.storage.publish(staged, *place)
    log.info("predictions made: model_version=%d n_rows=%d digest=%s", batch.model_version, batch.n_rows, batch.digest)
    return batch


def _settle(prediction: PredictionSpec, place: tuple[str, str, str], platform: Platform) -> PredictionPlan:
    """Return the version and the moment that all tries of the run keep to."""
    note = (*place[:-1], f"{place[-1]}.json")
    if not platform.storage.exists(*note):
        name, named = prediction.model_name, prediction.model_version
        version = platform.mlflow.get_version(name, named) if named else current_champion(name, platform=platform)
        if version is None:
            raise SpecError(
                f"{name} has no champion yet, so nothing can be scored. Nothing was written. Train and promote a "
                f"version, or name one: model_uri: models:/{name}/1."
            )
        plan = PredictionPlan(
            model_name=name,
            model_version=version.model_version,
            model_digest=version.model_digest,
            started_at=datetime.now(UTC),
        )
        platform.storage.create_json(plan.to_dict(), *note)  # another try may have been quicker
    return PredictionPlan.from_dict(platform.storage.read_json(*note))


@dataclass
class _Scoring:
    """Scores chunks; the inference log is written beside it, by a thread."""

    model: LoadedModel
    prediction: PredictionSpec
    plan: PredictionPlan
    log: InferenceLog
    n_logged: int = 0
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
        spec, plan, first = self.prediction, self.plan, 1
        names = list(dict.fromkeys([*spec.key, *spec.keep, *self.model.columns]))
        for chunk in arrow.read_chunks(rows.data_uri, names, spec.chunk_rows):
            try:
                values, scores = self._predict(arrow.frame_of(chunk, self.model.columns))
            except EvaluationError as error:
                raise EvaluationError(
                    f"{error} This was in rows {first} to {first + chunk.num_rows - 1} of {rows.n_rows}. No prediction "
                    f"was written. Mend these rows, or validate the data so that such rows are set aside."
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
                model_version=plan.model_version,
                model_digest=plan.model_digest,
                at=plan.started_at,
            )

    def _predict(self, frame: Any) -> tuple[Any, Any]:
        values, scores, classes = self.model.predict(frame), self.model.scores(frame), self.model.classes
        return values, None if scores is None or classes is None else chosen_scores(scores, values, classes)

    def _await_log(self) -> None:
        if self._logging is not None:
            self.n_logged += self._logging.result()
            self._logging = None

    def _log_chunk(self, chunk: pa.RecordBatch, values: Any, scores: Any) -> int:
        """Log the rows of a chunk that are drawn, and return how many they are; a retry draws the same."""
        spec, plan = self.prediction, self.plan
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
                at=plan.started_at,
                model_version=plan.model_version,
                model_digest=plan.model_digest,
                role=Role.BATCH,
                predictions=values,
                scores=scores,
                redact=spec.log.redact,
            )
            self.log.write(table, at=plan.started_at)
        return int(chunk.num_rows)


def _require_distinct(rows: DatasetSnapshot, prediction: PredictionSpec) -> None:
    n_keys, n_rows = count_repeated(rows.data_uri, prediction.key)
    if n_keys:
        raise DataError(
            f"The key {', '.join(prediction.key)} does not tell rows apart: {n_keys} key(s) stand in {n_rows} of "
            f"{rows.n_rows} rows. Nothing was scored or written. Remove the repeated rows, or add columns to `key`."
        )


def _with_features(
    snapshot: DatasetSnapshot,
    data: DatasetSpec | None,
    *,
    storage: Storage,
    connections: Connections,
    run: PipelineRun,
) -> DatasetSnapshot:
    """Return the rows that the model reads: the snapshot, or another one with what its features make of it."""
    if data is None or not (data.features or data.feature_tables):
        return snapshot
    check_snapshot(snapshot)
    source = feature_source(data, dataset=snapshot.dataset, storage=storage, connections=connections, run=run)
    made_from = {"features_of": snapshot.digest, "features": data.features, "feature_digests": source.digests}
    with feature_rows(snapshot, data, storage=storage, source=source) as rows:
        return store_rows(
            rows,
            dataset=f"{snapshot.dataset}.features",
            storage=storage,
            timestamp=data.timestamp,
            source=made_from,
            run=run,
        )


def _add_to_log(batch: PredictionBatch, prediction: PredictionSpec, storage: Storage) -> None:
    """Move the log's files to where all of the model's are. Whoever was killed on the way goes on here."""
    if prediction.log:
        log_of_model = InferenceLog(storage.path("inference", folder_name(batch.model_name)))
        log_of_model.adopt(Path(batch.uri) / _LOG)
        log_of_model.trim(prediction.log.max_mb * 2**20)


@contextlib.contextmanager
def _opened(output: TableOutput | None, connections: Connections) -> Iterator[Engine | None]:
    """Give the engine of the table's database, having seen that it can be written by key, before anything is scored."""
    if output is None:
        yield None
        return
    from airflow_mlops.adapters.sql import require_upsert

    engine = connections.database(output.conn_id)
    try:
        require_upsert(engine)
        yield engine
    finally:
        engine.dispose()


def _add_to_table(batch: PredictionBatch, output: TableOutput, engine: Engine) -> None:
    from airflow_mlops.adapters.sql import upsert_rows

    n_rows = upsert_rows(
        engine,
        output.table,
        arrow.read_blocks(batch.data_uri),
        schema=arrow.schema_of(batch.data_uri),
        key=batch.key,
        newest="predicted_at",
    )
    log.info("predictions written: conn_id=%s table=%s n_rows=%d", output.conn_id, output.table, n_rows)


def _report_name(prediction: PredictionSpec) -> str:
    return f"predictions_{folder_name(prediction.model_name)}"
