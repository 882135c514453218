"""Lineage: the record of a training, kept in its MLflow run and verified by the version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_mlops._version import __version__
from airflow_mlops.adapters.process import threads
from airflow_mlops.adapters.user_code import git, load
from airflow_mlops.adapters.user_code.environment import describe_environment
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.registry.journal import ModelVersion, champion_of
from airflow_mlops.core.registry.training_record import RECORD_TAG, CodeModule, TrainingRecord, packages_digest
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import read_journal
from airflow_mlops.steps.registry.ledger import read_decisions

__all__ = ["describe_code", "find_snapshot", "load_record", "record_training"]

_RECORD, _PACKAGES = "training_record.json", "environment.txt"


def record_training(
    trained: TrainedModel,
    model: Any,
    training: TrainingSpec,
    split: DatasetSplit,
    *,
    started_at: datetime,
    durations_s: Mapping[str, float],
    platform: Platform,
    run: PipelineRun,
) -> str:
    """Keep with the model's MLflow run all that it was made of: ``training_record.json`` and ``environment.txt``.

    :param model: the fitted one, which says how many threads it uses.
    :param started_at: when the training began.
    :param durations_s: seconds by phase.
    :returns: the record's digest, by which the version verifies it.
    :raises IntegrityError: when the model's ledger or journal is damaged.
    """
    name, storage = trained.model_name, platform.storage
    decisions = [each for each in read_decisions(name, storage=storage) if each.run_id == run.run_id]
    environment, packages = describe_environment(threads.blas_kernels())
    record = TrainingRecord(
        model_name=name,
        run=run,
        training=training,
        split=split,
        fingerprint=trained.fingerprint,
        model_digest=trained.model_digest,
        code=tuple(map(describe_code, training.import_paths)),
        environment=environment,
        n_threads=threads.count_threads(model),
        reasons=decisions[-1].reasons if decisions else (),
        champion_version=champion_of(read_journal(name, storage=storage)),
        started_at=started_at,
        durations_s=dict(durations_s),
        package_version=__version__,
    )
    document = json.dumps(record.to_dict(), indent=2) + "\n"
    platform.mlflow.log_texts(trained.run_id, {_PACKAGES: packages, _RECORD: document})
    return record.content_digest


def load_record(version: ModelVersion, *, platform: Platform) -> tuple[TrainingRecord, str]:
    """Return the record that a version verifies, and the list of distributions that belongs to it.

    :raises IntegrityError: when the version has no record, or it is not the one that it verifies.
    """
    subject = f"{version.model_name} v{version.model_version}"
    expected = version.tags.get(RECORD_TAG)
    if not expected:
        raise IntegrityError(
            f"{subject} has no tag {RECORD_TAG}, so nobody knows what it was made of: it was registered by other "
            f"means, or before records were kept. Nothing was trained. Train a new version to have one."
        )
    document = _read_document(subject, platform.mlflow.read_text(version.run_id, _RECORD))
    packages = platform.mlflow.read_text(version.run_id, _PACKAGES)
    _require_same(f"{subject}: {_RECORD}", digest_of(document), expected)  # of what is there, not of how it is read
    record = TrainingRecord.from_dict(document)
    _require_same(f"{subject}: {_PACKAGES}", packages_digest(packages), record.environment.packages_digest)
    _require_same(f"{subject}: the model's files", version.model_digest, record.model_digest)
    return record, packages


def find_snapshot(version: ModelVersion, *, platform: Platform) -> DatasetSnapshot | None:
    """Return the snapshot that a version was trained on; ``None`` where it is not noted, or is gone by now.

    :raises IntegrityError: when the version's record is damaged.
    """
    from airflow_mlops.steps.data.snapshot import load_snapshot
    from airflow_mlops.steps.data.snapshot_notes import snapshot_folder  # which need the engine, and training does not

    if RECORD_TAG not in version.tags:
        return None
    split = load_record(version, platform=platform)[0].split
    if split.recipe is None or not platform.storage.exists(
        *snapshot_folder(split.recipe.dataset, split.snapshot_digest)
    ):
        return None
    return load_snapshot(platform.storage, split.recipe.dataset, split.snapshot_digest)


def describe_code(import_path: str) -> CodeModule:
    """Return what is known of a module that a spec names, as it is now.

    :raises SpecError: when there is no such module.
    """
    file = load.module_file(import_path)
    return git.describe_module(import_path, file, load.code_digest(import_path))


def _read_document(subject: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise IntegrityError(f"{subject}: {_RECORD} in its MLflow run is damaged: {error}.") from error


def _require_same(subject: str, digest: str, expected: str) -> None:
    if digest != expected:
        raise IntegrityError(
            f"{subject} in its MLflow run has digest {digest[:19]}…, {expected[:19]}… was verified. It was changed "
            f"after the training; nothing was made of it. Restore it from a backup, or train a new version."
        )
