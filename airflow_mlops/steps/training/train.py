"""Training: fit a model on the training part and log all that it can be traced by."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
import math
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.model_files import skops as skops_store
from airflow_mlops.adapters.sklearn import fitting
from airflow_mlops.adapters.user_code import load
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.evaluation.report import check_predictions
from airflow_mlops.core.registry.training_record import RECORD_TAG
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.fit import check_target, reason_of
from airflow_mlops.core.training.model import TrainedModel, feature_columns, fingerprint, merge_params
from airflow_mlops.core.training.tuning import TuningResult
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import SpecError, TrainingError, UntrustedModelError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec
from airflow_mlops.steps.platform import Platform, folder_name, short
from airflow_mlops.steps.registry.training_record import record_training
from airflow_mlops.steps.training.fit import fit

__all__ = ["recipe_of", "train_model", "training_fingerprint"]

log = logging.getLogger(__name__)

_REQUIREMENTS = ("numpy", "pandas", "scikit-learn", "skops")
_SCORED_ROWS = 50_000
_EXAMPLE_ROWS = 100


def training_fingerprint(split: DatasetSplit, training: TrainingSpec) -> str:
    """Return the digest of rows, parameters and code: what would make the same model again.

    :raises SpecError: when the module of the estimator, the function or the preprocessing is not found.
    """
    return fingerprint(split_digest=split.digest, training=training, code_digest=_code_digest(training))


def recipe_of(training: TrainingSpec, tuning: TuningSpec | None) -> str:
    """Return the digest of parameters, search and code, whatever the rows.

    :raises SpecError: as :func:`training_fingerprint` does.
    """
    searched = tuning.model_dump(mode="json") if tuning else None
    return digest_of([training.model_dump(mode="json"), searched, _code_digest(training)])


def _code_digest(training: TrainingSpec) -> str:
    code = load.code_digest(str(training.estimator or training.function))
    if training.preprocessor:
        code = digest_of([code, load.code_digest(training.preprocessor)])
    return code


def train_model(
    split: DatasetSplit,
    training: TrainingSpec,
    *,
    model_name: str,
    tuning: TuningResult | None = None,
    platform: Platform,
    run: PipelineRun,
) -> TrainedModel:
    """Fit a model and log it: parameters, digests, signature, example, metrics on the training part.

    A retry in the same run finds what an earlier try finished, and marks what one left open as killed.

    :param model_name: the MLflow experiment, and the name that the model is registered under later.
    :param tuning: the search whose best hyperparameters it is trained with.
    :raises TrainingError: when the estimator or the user's function fails.
    :raises UntrustedModelError: when the model holds a type that the platform does not trust.
    """
    if tuning:
        training = merge_params(training, tuning.best_params)
    identity = training_fingerprint(split, training)
    key = run.step_key("train", identity)
    document = ("models", folder_name(model_name), f"{short(key)}.json")
    tags = {"mlops.step_key": key}
    if platform.storage.exists(*document) and platform.mlflow.find_run(model_name, tags):
        log.info("training found from an earlier try: step_key=%s", key)
        return TrainedModel.from_dict(platform.storage.read_json(*document))
    if platform.mlflow.end_abandoned_runs(model_name, tags):
        log.warning("an earlier try was killed while it trained; its run is kept: step_key=%s", key)

    if training.allow_pickle and not platform.allow_pickle:
        raise SpecError(
            "training.allow_pickle asks for what the platform does not allow: [mlops] allow_pickle is not set. Nothing "
            "was trained and the champion stays."
        )
    started_at, clock = datetime.now(UTC), _Clock()
    frame = arrow.read_frame(split.train.uri, split.train.digest)
    clock.note("read")
    target = frame[training.target]
    check_target(target.to_numpy(), int(target.isna().sum()), training.target)
    tags |= _tags(split, run, identity, tuning)
    with platform.mlflow.start_run(model_name, name=run.run_id, tags=tags) as tracked:
        columns = feature_columns(training, split)
        clock.restart()
        model = fit(training, split, frame, columns)
        clock.note("fit")
        metrics = {"train_rows": float(len(frame)), **_scores(model, frame, columns, training.target)}
        clock.restart()
        model_uri = _store(model, frame, columns, metrics, split, training, platform)
        model_digest = platform.mlflow.digest_of_model(model_uri)
        clock.note("store")
        platform.mlflow.log_metrics(tracked.info.run_id, clock.seconds)
        trained = TrainedModel(
            model_name=model_name,
            run_id=tracked.info.run_id,
            model_uri=model_uri,
            model_digest=model_digest,
            fingerprint=identity,
            snapshot_digest=split.snapshot_digest,
            split_digest=split.digest,
            target=training.target,
            features=tuple(column.name for column in columns),
            params=dict(training.params),
            metrics=metrics | clock.seconds,
            run_url=platform.mlflow.run_url(tracked.info.experiment_id, tracked.info.run_id),
        )
        record_digest = record_training(
            trained,
            model,
            training,
            split,
            started_at=started_at,
            durations_s={name.removesuffix("_seconds"): seconds for name, seconds in clock.seconds.items()},
            platform=platform,
            run=run,
        )
        trained = dataclasses.replace(trained, record_digest=record_digest)
        platform.mlflow.set_tags(trained.run_id, {"mlops.model_digest": model_digest, RECORD_TAG: record_digest})
        platform.storage.write_json(trained.to_dict(), *document)
    log.info("trained: model_uri=%s n_rows=%d seconds=%s", model_uri, len(frame), clock.seconds)
    return trained


def _tags(split: DatasetSplit, run: PipelineRun, identity: str, tuning: TuningResult | None) -> dict[str, str]:
    """Return what runs are searched for by; the rest is in the record."""
    return {
        "mlops.fingerprint": identity,
        "mlops.snapshot_digest": split.snapshot_digest,
        **({"mlops.feature_digests": json.dumps(split.feature_digests)} if split.feature_digests else {}),
        **({"mlops.tuning_fingerprint": tuning.fingerprint, "mlops.tuning_run": tuning.run_id} if tuning else {}),
        "mlops.pipeline": run.pipeline,
        "mlops.pipeline_run": run.run_id,
        "mlops.trigger": run.trigger,
    }


def _store(
    model: Any,
    frame: Any,
    columns: list[Column],
    metrics: dict[str, float],
    split: DatasetSplit,
    training: TrainingSpec,
    platform: Platform,
) -> str:
    """Log a fitted model into the open run, and return its URI."""
    example, trusted_types = _example(frame, columns), _trusted_types(model, training, platform)
    return platform.mlflow.log_training(
        model=model,
        example=example,
        predictions=_predict(model, example),
        params=training.params,
        metrics=metrics,
        dataset=("train", split.train.uri, split.train.digest),
        requirements=_requirements(model, is_pickled=trusted_types is None),
        trusted_types=trusted_types,
    )


class _Clock:
    """Notes how long each phase took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Begin a phase."""
        self._started = time.perf_counter()

    def note(self, phase: str) -> None:
        """End a phase."""
        self.seconds[f"{phase}_seconds"] = time.perf_counter() - self._started


def _trusted_types(model: Any, training: TrainingSpec, platform: Platform) -> list[str] | None:
    """Return what the model needs to be stored by skops; ``None`` where only pickle can store it, and may."""
    try:
        return skops_store.types_to_trust(model, platform.trusted_types)
    except UntrustedModelError as error:
        if not training.allow_pickle:
            raise
        log.warning("stored by pickle, as the spec and the platform allow: %s", error)
        return None


def _mlflow() -> str:
    """Return the name of the distribution that MLflow is installed by: whole, or its client alone."""
    try:
        return importlib.metadata.distribution("mlflow").name
    except importlib.metadata.PackageNotFoundError:
        return "mlflow-skinny"


def _requirements(model: Any, *, is_pickled: bool) -> list[str]:
    """Pin what a process needs to load the model."""
    names = [_mlflow(), *_REQUIREMENTS, *(["cloudpickle"] if is_pickled else [])]
    pinned = [f"{name}=={importlib.metadata.version(name)}" for name in names]
    library = type(fitting.final_estimator(model)).__module__.partition(".")[0]
    # Not by its distribution: XGBoost's may be called xgboost-cpu where it is trained.
    version = getattr(sys.modules.get(library), "__version__", None)
    return [*pinned, f"{library}=={version}"] if library != "sklearn" and version else pinned


def _scores(model: Any, frame: Any, features: list[Column], target: str) -> dict[str, float]:
    """Return how well the model fits rows that it was trained on: what it is to be measured by is the evaluation."""
    rows = frame.iloc[:: math.ceil(len(frame) / _SCORED_ROWS)]
    inputs = rows[[column.name for column in features]]
    predictions = _predict(model, inputs)
    if len(rows) > 1 and (predictions == predictions[0]).all():
        log.warning("the model predicts the same for all rows that it was asked: n_rows=%d", len(rows))
    try:
        scores = fitting.score_fit(model, inputs, rows[target].to_numpy(), predictions)
    except Exception as error:  # a model of the user's may answer what no metric takes; the evaluation judges that
        log.warning("the fit can't be scored: %s: %s", type(error).__name__, error)
        return {}
    return {f"train_{name}": value for name, value in scores.items()}


def _example(frame: Any, features: list[Column]) -> Any:
    """Return rows that show of each column what is in it, and that it may be missing where it is.

    MLflow knows no decimals and no numbers beyond 63 bits, and would leave the whole signature out for one of them.
    """
    places = set(range(min(_EXAMPLE_ROWS, len(frame))))
    for column in features:
        is_null = frame[column.name].isna().to_numpy()
        for is_wanted in (is_null, ~is_null):
            if not is_wanted[:_EXAMPLE_ROWS].any() and is_wanted.any():
                places.add(int(is_wanted.argmax()))
    wide = {column.name: "float64" for column in features if column.type.startswith(("decimal", "uint64"))}
    return frame[[column.name for column in features]].iloc[sorted(places)].astype(wide)


def _predict(model: Any, rows: Any) -> Any:
    try:
        return check_predictions("It", np.asarray(model.predict(rows)), len(rows))
    except Exception as error:
        raise TrainingError(
            f"The trained model can't predict rows that it was trained on: {reason_of(error)}. Nothing was stored and "
            f"the champion stays."
        ) from error
