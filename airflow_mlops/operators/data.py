"""Snapshots: the source's rows, copied once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.operators._base import StepOperator
from airflow_mlops.specs.data import DatasetSpec

if TYPE_CHECKING:
    from airflow_mlops.core.data import DatasetSnapshot
    from airflow_mlops.core.values import PipelineRun

__all__ = ["SnapshotDatasetOperator"]


class SnapshotDatasetOperator(StepOperator):
    """Copy a dataset's rows into the storage, named by the digest of their content.

    Gives a :class:`~airflow_mlops.core.data.DatasetSnapshot`. See
    :func:`~airflow_mlops.steps.data.snapshot_dataset`.

    :param dataset: the name that snapshots of this source are kept under. (templated)
    :param data: a :class:`~airflow_mlops.specs.DatasetSpec`, or its settings. (templated)
    """

    template_fields = ("dataset", "data", *StepOperator.template_fields)

    def __init__(self, *, dataset: str, data: DatasetSpec | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.data = data

    def call_step(self, run: PipelineRun) -> DatasetSnapshot:
        """Make the snapshot."""
        from airflow_mlops.steps.data import snapshot_dataset

        return snapshot_dataset(
            DatasetSpec.parse(self.data), dataset=self.dataset, storage=get_storage(), actor=run.actor
        )
