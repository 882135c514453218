"""A trained model, and what makes two trainings the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.values import Value, digest_of
from airflow_mlops.errors import SpecError, bounded, did_you_mean
from airflow_mlops.specs.train import TrainingSpec

__all__ = ["TrainedModel", "choose_features", "feature_columns", "fingerprint", "merge_params"]


@dataclass(frozen=True, kw_only=True)
class TrainedModel(Value):
    """A model as the tracking server holds it.

    :param model_uri: ``models:/m-…``, the logged model.
    :param model_digest: of the stored files, as they were read back.
    :param fingerprint: data, split, code and parameters: what would make the same model again.
    :param metrics: on the training part; what counts is the evaluation.
    :param record_digest: of the :class:`~airflow_mlops.core.registry.training_record.TrainingRecord` in the MLflow run;
        empty where none was kept yet.
    """

    model_name: str
    run_id: str
    model_uri: str
    model_digest: str
    fingerprint: str
    snapshot_digest: str
    split_digest: str
    target: str
    features: tuple[str, ...]
    params: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    run_url: str = ""
    record_digest: str = ""


def fingerprint(*, split_digest: str, training: TrainingSpec, code_digest: str) -> str:
    """Return the digest of everything that a training depends on.

    Two trainings with the same fingerprint would make the same model, so the second one is not worth making.

    :param split_digest: of the rows of both parts.
    :param code_digest: of the module that the estimator or the training function comes from.
    """
    return digest_of({"split": split_digest, "training": training.model_dump(mode="json"), "code": code_digest})


def merge_params(training: TrainingSpec, overrides: Mapping[str, Any]) -> TrainingSpec:
    """Return the spec with some hyperparameters replaced.

    :param overrides: only names that the spec has, so that a typo can't train with the defaults.
    :raises SpecError: when a name is not one of the spec's.
    """
    for name in overrides:
        if name not in training.params:
            known = bounded(sorted(training.params))
            raise SpecError(
                f"Hyperparameter {name!r} is not one of this pipeline's ({known})."
                f"{did_you_mean(name, training.params)} Nothing was trained. Add it to training.params with a default, "
                f"or fix the run's parameters."
            )
    merged = {**training.params, **overrides}
    return TrainingSpec.parse({**training.model_dump(), "params": merged})


def choose_features(training: TrainingSpec, split: DatasetSplit) -> tuple[str, ...]:
    """Return the columns to train on, in order: those of the spec, or all that say something of a row.

    The target, the timestamp, the weight of a row, and the columns by which rows or groups are told apart do not.

    :raises SpecError: when the target or a feature is not in the split, or nothing is left to train on.
    """
    columns = [column.name for column in split.columns]
    roles = {training.target: "target", training.sample_weight: "sample_weight"}
    for name in (training.target, training.sample_weight, *(training.features or ())):
        if name is not None and name not in columns:
            role = roles.get(name, "feature")
            raise SpecError(
                f"training.{role} {name!r} is not in the data. Columns: {bounded(columns, 20)}."
                f"{did_you_mean(name, columns)}"
            )
    left_out = {training.target, training.sample_weight, split.timestamp, *split.key, *split.group}
    chosen = training.features or tuple(name for name in columns if name not in left_out)
    if not chosen:
        raise SpecError(
            f"No feature is left: the columns are target, weight, timestamp, key or group ({bounded(columns)}). "
            f"Deliver more, or name them in training.features."
        )
    return chosen


def feature_columns(training: TrainingSpec, split: DatasetSplit) -> list[Column]:
    """Return what is known of the columns to train on, in order.

    :raises SpecError: as :func:`choose_features` does.
    """
    known = {column.name: column for column in split.columns}
    return [known[name] for name in choose_features(training, split)]
