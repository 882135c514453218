"""Batch scoring: the rows of a snapshot, scored by one version, into a file and a table, once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.duckdb_engine.joins.keys import count_repeated
from airflow_mlops.adapters.storage.inference_log import InferenceLog
from airflow_mlops.adapters.storage.store import Storage, write_document
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.flow import SCORING
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.batch import PredictionBatch, check_columns
from airflow_mlops.core.step import steps_of
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, SpecError
from airflow_mlops.pages.scoring import prediction_page
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.predict import BatchScoringSpec, PredictionSpec, TableOutput
from airflow_mlops.steps.data.connections import Connections, NoConnections
from airflow_mlops.steps.data.features import feature_rows, feature_source
from airflow_mlops.steps.data.settings import settings_at
from airflow_mlops.steps.data.snapshot import check_snapshot, store_rows
from airflow_mlops.steps.flow import FlowRun
from airflow_mlops.steps.platform import Platform, folder_name, inference_folder, short
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.registry.models import load_model
from airflow_mlops.steps.scoring._chunks import Scoring

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["predict_batch", "score_dataset"]

log = logging.getLogger(__name__)

_DATA, _BATCH, _LOG = "data.parquet", "batch.json", "log"


def score_dataset(
    spec: BatchScoringSpec, *, platform: Platform, run: PipelineRun, connections: Connections | None = None
) -> PredictionBatch:
    """Copy the rows of a dataset, check them and score them.

    :param connections: opens the connections that the spec names; ``None``: there are none.
    :raises DataHaltedError: when the validation halts.
    """
    platform.mlflow.check()
    flow = FlowRun(spec, platform=platform, run=run, connections=connections)
    for step in steps_of(SCORING, spec):
        flow.do(step)
    batch: PredictionBatch = flow.results["predictions"]
    return batch


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

    The rows are streamed. The file of predictions appears whole, the inference log gets its files after that, and the
    table gets all rows in one transaction. A retry that finds the file goes on with the rest, whoever is champion now;
    one that finds none begins anew. So a batch is of one version.

    :param data: its ``features`` and ``feature_tables`` make the rows that are scored; ``None``: the snapshot's own.
    :param connections: opens the connections that the specs name; ``None``: there are none.
    :raises DataError: when the rows do not fit the model, or two have the same key.
    :raises NoRowsError: when there is no row.
    :raises SpecError: when no version is champion, or the table can't be written.
    :raises EvaluationError: when the model fails, or predicts NaN.
    :raises IntegrityError: when rows, model or predictions are not what was verified.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust.
    :raises UnavailableError: when MLflow, the storage or the database does not answer.
    """
    storage, connections = platform.storage, connections or NoConnections()
    with _opened(prediction.output, connections) as engine:
        rows = _with_features(snapshot, data, storage=storage, connections=connections, run=run)
        settings = prediction.model_dump(mode="json", include={"model_name", "model_uri", "key", "keep", "log"})
        key = run.step_key("predict", rows.digest, digest_of(settings))
        place = ("predictions", folder_name(prediction.model_name), short(key))
        is_found = storage.exists(*place)
        if not is_found:
            _score(rows, prediction, place, platform, run)
        batch = PredictionBatch.from_dict(storage.read_json(*place, _BATCH))  # of the try that was quickest
        if is_found:
            arrow.check_rows(batch.data_uri, batch.digest)
            log.info("predictions found from an earlier try: step_key=%s", key)
        _add_to_log(batch, prediction, storage)
        if engine is not None and prediction.output is not None:
            _add_to_table(batch, prediction.output, engine)
    platform.record(run, _report_name(prediction), batch, prediction_page(batch, prediction))
    return batch


def _score(
    rows: DatasetSnapshot, prediction: PredictionSpec, place: tuple[str, str, str], platform: Platform, run: PipelineRun
) -> None:
    """Check everything, score all rows by the version of now, and publish what came of it as a whole."""
    started_at, version = datetime.now(UTC), _version(prediction, platform)
    who = f"{version.model_name} v{version.model_version}"
    uri = f"models:/{version.model_name}/{version.model_version}"
    model = load_model(who, uri, version.model_digest, platform=platform)
    unused = check_columns(model.types, rows, prediction)
    log.info("scoring: model_version=%d n_rows=%d n_unused=%d", version.model_version, rows.n_rows, len(unused))
    check_snapshot(rows)
    _require_distinct(rows, prediction)
    with platform.storage.staging(*place[:-1]) as staged:
        scoring = Scoring(
            model=model,
            version=version,
            at=started_at,
            prediction=prediction,
            log=InferenceLog(staged / _LOG, writer=f"batch-{place[-1]}"),
        )
        writer = scoring.write(rows, staged / _DATA)
        batch = PredictionBatch(
            model_name=version.model_name,
            model_version=version.model_version,
            model_digest=version.model_digest,
            snapshot_digest=rows.digest,
            uri=str(platform.storage.path(*place)),
            digest=writer.digest,
            n_rows=writer.n_rows,
            columns=writer.columns,
            key=prediction.key,
            n_logged=scoring.n_logged,
            started_at=started_at,
            ended_at=datetime.now(UTC),
            report_uri=platform.report_uri(run, _report_name(prediction)),
        )
        write_document(staged / _BATCH, batch.to_dict())
        platform.storage.publish(staged, *place)
    log.info("predictions made: model_version=%d n_rows=%d digest=%s", batch.model_version, batch.n_rows, batch.digest)


def _version(prediction: PredictionSpec, platform: Platform) -> ModelVersion:
    name, named = prediction.model_name, prediction.model_version
    version = platform.mlflow.get_version(name, named) if named else current_champion(name, platform=platform)
    if version is None:
        raise SpecError(
            f"{name} has no champion yet, so nothing can be scored. Nothing was written. Train and promote a version, "
            f"or name one: model_uri: models:/{name}/1."
        )
    return version


def _require_distinct(rows: DatasetSnapshot, prediction: PredictionSpec) -> None:
    if arrow.is_ascending(rows.data_uri, prediction.key):
        return  # which is seen in a tenth of the time that counting takes
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
        log_of_model = InferenceLog(inference_folder(batch.model_name, storage=storage))
        log_of_model.adopt(Path(batch.uri) / _LOG)
        log_of_model.trim(prediction.log.max_bytes)


@contextlib.contextmanager
def _opened(output: TableOutput | None, connections: Connections) -> Iterator[Engine | None]:
    """Give the engine of the table's database, having seen that it can be written by key, before anything is scored."""
    if output is None:
        yield None
        return
    from airflow_mlops.adapters.sql import require_upsert

    with settings_at("output.", "conn_id"):
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
