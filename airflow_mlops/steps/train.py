"""Training: fit a model on the training part and log all that it can be traced by."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from airflow_mlops.adapters import arrow, user_code
from airflow_mlops.adapters import skops as skops_store
from airflow_mlops.core.data import Column
from airflow_mlops.core.lineage import RECORD_TAG
from airflow_mlops.core.split import DatasetSplit
from airflow_mlops.core.train import TrainedModel, feature_columns, fingerprint
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, TrainingError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps._fit import fit
from airflow_mlops.steps._platform import Platform, folder_name, short
from airflow_mlops.steps.lineage import record_training

__all__ = ["train_model", "training_fingerprint"]

log = logging.getLogger(__name__)

_REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")


def training_fingerprint(split: DatasetSplit, training: TrainingSpec) -> str:
    """Return the digest of rows, parameters and code: what would make the same model again.

    :raises SpecError: when the module of the estimator, the function or the preprocessing is not found.
    """
    code = user_code.code_digest(str(training.estimator or training.function))
    if training.preprocessor:
        code = digest_of([code, user_code.code_digest(training.preprocessor)])
    return fingerprint(split_digest=split.digest, training=training, code_digest=code)


def train_model(
    split: DatasetSplit,
    training: TrainingSpec,
    *,
    model_name: str,
    platform: Platform,
    run: PipelineRun,
) -> TrainedModel:
    """Fit a model and log it: parameters, digests, signature, example, metrics on the training part.

    A retry in the same run finds what an earlier try finished, and marks what one left open as killed.

    :param model_name: the MLflow experiment, and the name that the model is registered under later.
    :raises TrainingError: when the estimator or the user's function fails.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust.
    """
    identity = training_fingerprint(split, training)
    key = run.step_key("train", identity)
    document = ("models", folder_name(model_name), f"{short(key)}.json")
    tags = {"mlops.step_key": key}
    if platform.storage.exists(*document) and platform.mlflow.find_run(model_name, tags):
        log.info("training found from an earlier try: step_key=%s", key)
        return TrainedModel.from_dict(platform.storage.read_json(*document))
    if platform.mlflow.end_abandoned_runs(model_name, tags):
        log.warning("an earlier try was killed while it trained; its run is kept: step_key=%s", key)

    started_at, started = datetime.now(UTC), time.perf_counter()
    frame = arrow.read_frame(split.train.uri, split.train.digest)
    read_seconds = time.perf_counter() - started
    columns = feature_columns(training, split)
    _check_target(frame[training.target], training.target)
    tags |= {
        "mlops.fingerprint": identity,
        "mlops.snapshot_digest": split.snapshot_digest,
        **({"mlops.feature_digests": json.dumps(split.feature_digests)} if split.feature_digests else {}),
        "mlops.pipeline": run.pipeline,
        "mlops.pipeline_run": run.run_id,
    }
    with platform.mlflow.start_run(model_name, name=run.run_id, tags=tags) as tracked:
        started = time.perf_counter()
        model = fit(training, frame, columns)
        seconds = time.perf_counter() - started
        example = _example(frame, columns)
        metrics = {"train_rows": float(len(frame)), "train_seconds": seconds}
        model_uri = platform.mlflow.log_training(
            model=model,
            example=example,
            predictions=_predict(model, example),
            params=training.params,
            metrics=metrics,
            dataset=("train", split.train.uri, split.train.digest),
            requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS],
            trusted_types=skops_store.types_to_trust(model, platform.trusted_types),
        )
        trained = TrainedModel(
            model_name=model_name,
            run_id=tracked.info.run_id,
            model_uri=model_uri,
            model_digest=platform.mlflow.digest_of_model(model_uri),
            fingerprint=identity,
            snapshot_digest=split.snapshot_digest,
            split_digest=split.digest,
            target=training.target,
            features=tuple(column.name for column in columns),
            params=dict(training.params),
            metrics=metrics,
            run_url=platform.mlflow.run_url(tracked.info.experiment_id, tracked.info.run_id),
        )
        record_digest = record_training(
            trained,
            model,
            training,
            split,
            started_at=started_at,
            durations_s={"read": read_seconds, "fit": seconds},
            platform=platform,
            run=run,
        )
        trained = dataclasses.replace(trained, record_digest=record_digest)
        platform.mlflow.set_tags(
            trained.run_id, {"mlops.model_digest": trained.model_digest, RECORD_TAG: record_digest}
        )
        platform.storage.write_json(trained.to_dict(), *document)
    log.info("trained: model_uri=%s n_rows=%d seconds=%.2f", model_uri, len(frame), seconds)
    return trained


def _example(frame: Any, features: list[Column], n_rows: int = 100) -> Any:
    """Return rows that show of each column what is in it, and that it may be missing where it is.

    MLflow knows no decimals and no numbers beyond 63 bits, and would leave the whole signature out for one of them.
    """
    places = set(range(min(n_rows, len(frame))))
    for column in features:
        is_null = frame[column.name].isna().to_numpy()
        for is_wanted in (is_null, ~is_null):
            if not is_wanted[:n_rows].any() and is_wanted.any():
                places.add(int(is_wanted.argmax()))
    wide = {column.name: "float64" for column in features if column.type.startswith(("decimal", "uint64"))}
    return frame[[column.name for column in features]].iloc[sorted(places)].astype(wide)


def _predict(model: Any, example: Any) -> Any:
    try:
        return np.asarray(model.predict(example))
    except Exception as error:
        raise TrainingError(
            f"The trained model can't predict rows that it learnt from: {type(error).__name__}: {error}. Nothing was "
            f"stored and the champion stays."
        ) from error


def _check_target(target: Any, name: str) -> None:
    n_null = int(target.isna().sum())
    if n_null:
        raise DataError(
            f"The target {name!r} is null in {n_null} of {len(target)} training rows. Nothing was trained. Leave those "
            f"rows out in data.features, or mend the source."
        )
