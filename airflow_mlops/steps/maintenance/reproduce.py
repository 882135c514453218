"""Reproduce: make a version again from its record, in a fresh process, and compare."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.process import threads
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.adapters.user_code import git, load
from airflow_mlops.adapters.user_code.environment import describe_environment
from airflow_mlops.core.maintenance.reproduction import (
    Agreement,
    Difference,
    DifferenceKind,
    ReproductionReport,
    compare_code,
    compare_environments,
    compare_outputs,
    compare_params,
)
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.registry.training_record import TrainingRecord
from airflow_mlops.core.splitting.split import DatasetPart, DatasetSplit, SplitRecipe
from airflow_mlops.errors import (
    EvaluationError,
    IntegrityError,
    MlopsError,
    SpecError,
    TrainingError,
    UnavailableError,
)
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.steps.data.features import SnapshotFeatures
from airflow_mlops.steps.data.snapshot import check_snapshot, load_snapshot
from airflow_mlops.steps.maintenance._refit import outputs_of, params_of, refit
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.models import LoadedModel, load_model
from airflow_mlops.steps.registry.training_record import describe_code, load_record
from airflow_mlops.steps.registry.versions import find_version
from airflow_mlops.steps.splitting.split import split_dataset

__all__ = ["reproduce_version"]

log = logging.getLogger(__name__)


def reproduce_version(model_uri: str, *, platform: Platform, tolerance: float = 1e-6) -> ReproductionReport:
    """Train a version again from its record, in a process of its own, and compare what both models predict.

    A version that was trained with one thread has to predict the held-out rows the same to the bit. One that was
    trained with more is trained with as many again, and may differ by the tolerance, since threads may add up numbers
    in another order. Nothing is written to the storage or to MLflow.

    :param model_uri: ``models:/name/7``, or ``models:/name@champion``.
    :param tolerance: where several threads computed: how far a prediction may be away, in parts of its size or of the
        root mean square of all predictions, whichever is larger.
    :raises SpecError: when the URI is none of these, or no version has the alias.
    :raises IntegrityError: when the version has no record, or the record or the stored model is not the one that was
        verified.
    :raises UnavailableError: when MLflow or the storage does not answer.
    """
    version = find_version(model_uri, platform=platform)
    record, packages = load_record(version, platform=platform)
    differences = [*_compare_code(record), *_compare_environment(record, packages)]
    required = 0.0 if record.n_threads == 1 else tolerance
    with tempfile.TemporaryDirectory(prefix="mlops-reproduce-") as scratch:
        split, found = _find_split(record.split, platform.storage, Path(scratch, "storage"))
        differences += found
        stored, found = _load(version, platform)
        differences += found
        agreement = None
        if split and stored:
            agreement, found = _train_again(record, split, stored, required, Path(scratch))
            differences += found
    report = ReproductionReport(
        model_name=version.model_name,
        model_version=version.model_version,
        is_reproduced=agreement is not None and (agreement.is_within if required else agreement.is_exact),
        agreement=agreement,
        tolerance=required,
        n_threads=record.n_threads,
        differences=tuple(differences),
        record_digest=record.content_digest,
    )
    log.info("reproduction: is_reproduced=%s n_differences=%d", report.is_reproduced, len(report.differences))
    return report


def _compare_code(record: TrainingRecord) -> list[Difference]:
    differences: list[Difference] = []
    for module in record.code:
        try:
            found = describe_code(module.import_path)
        except SpecError as error:
            differences.append(_difference(DifferenceKind.CODE, module.import_path, module.digest, str(error)))
            continue
        knows_commit = git.has_commit(load.module_file(module.import_path), module.commit)
        differences += compare_code(recorded=module, found=found, knows_commit=knows_commit)
    return differences


def _compare_environment(record: TrainingRecord, packages: str) -> tuple[Difference, ...]:
    found, found_packages = describe_environment(threads.blas_kernels())
    return compare_environments(
        recorded=record.environment, found=found, recorded_packages=packages, found_packages=found_packages
    )


def _find_split(split: DatasetSplit, storage: Storage, scratch: Path) -> tuple[DatasetSplit | None, list[Difference]]:
    """Return the split where its parts are unchanged, or else make it again from its snapshot, in a scratch folder."""
    differences = []
    try:
        for part in split.parts.values():
            _check_part(part)
        return split, []
    except UnavailableError:
        raise
    except IntegrityError as error:
        differences.append(_difference(DifferenceKind.DATA, "split", split.digest, str(error)))
    try:
        again = _make_split(split, storage, Storage(str(scratch)))
    except UnavailableError:
        raise
    except MlopsError as error:
        differences.append(_difference(DifferenceKind.DATA, "snapshot", split.snapshot_digest, str(error)))
        return None, differences
    if again.digest != split.digest:
        differences.append(_difference(DifferenceKind.DATA, "split, made again", split.digest, again.digest))
        return None, differences
    return again, differences


def _check_part(part: DatasetPart) -> None:
    if part.file_digest:
        arrow.check_file(part.uri, part.file_digest)
    else:
        arrow.check_rows(part.uri, part.digest)


def _make_split(split: DatasetSplit, storage: Storage, scratch: Storage) -> DatasetSplit:
    recipe = split.recipe
    if recipe is None or set(split.feature_digests) != {table.name for table in recipe.feature_tables}:
        raise IntegrityError(
            f"The split can't be made again: {'features of a feature store were joined' if recipe else 'no recipe'}."
        )
    snapshot = load_snapshot(storage, recipe.dataset, split.snapshot_digest)
    data = DatasetSpec(
        path=recipe.dataset,
        timestamp=split.timestamp,
        features=recipe.features,
        feature_tables=recipe.feature_tables,
    )
    source = _joined(recipe, split, storage) if recipe.feature_tables else None
    check_snapshot(snapshot)
    return split_dataset(snapshot, data, recipe.split, storage=scratch, source=source)


def _joined(recipe: SplitRecipe, split: DatasetSplit, storage: Storage) -> SnapshotFeatures:
    snapshots = {
        table.name: load_snapshot(storage, str(table.source.path), split.feature_digests[table.name])
        for table in recipe.feature_tables
    }
    return SnapshotFeatures(tables=recipe.feature_tables, snapshots=snapshots)


def _load(version: ModelVersion, platform: Platform) -> tuple[LoadedModel | None, list[Difference]]:
    uri = f"models:/{version.model_name}/{version.model_version}"
    try:
        return load_model("The stored version", uri, version.model_digest, platform=platform), []
    except EvaluationError as error:  # a library of now can't read what one of then wrote
        found = _difference(DifferenceKind.ENVIRONMENT, "stored model", version.model_digest, str(error))
        return None, [found]


def _train_again(
    record: TrainingRecord, split: DatasetSplit, stored: LoadedModel, tolerance: float, scratch: Path
) -> tuple[Agreement | None, list[Difference]]:
    """Train in a fresh process, and compare the two models."""
    frame = arrow.read_frame(split.test.uri, split.test.digest)
    try:
        with threads.limited_threads(record.n_threads):
            expected = outputs_of(stored.model, frame[list(stored.columns)])
        outputs, params, n_threads = refit(record.training, split, n_threads=record.n_threads, scratch=scratch)
    except EvaluationError as error:
        return None, [_difference(DifferenceKind.ENVIRONMENT, "stored model", "predicts", str(error))]
    except TrainingError as error:
        return None, [_difference(DifferenceKind.CODE, "training", "a model", str(error))]
    agreement = compare_outputs(stored=expected, again=outputs, tolerance=tolerance)
    differences = [*compare_params(recorded=params_of(stored.model), found=params)]
    if n_threads != record.n_threads:
        differences.append(_difference(DifferenceKind.THREADS, "threads", str(record.n_threads), str(n_threads)))
    if not agreement.is_exact:
        same = f"the same in all {agreement.n_rows} rows"
        differences.append(_difference(DifferenceKind.PREDICTIONS, "held-out rows", same, str(agreement)))
    return agreement, differences


def _difference(kind: DifferenceKind, subject: str, recorded: str, found: str) -> Difference:
    return Difference(kind=kind, subject=subject, recorded=recorded, found=found)
