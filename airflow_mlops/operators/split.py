"""Split: the rows to learn from and those that are held back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.operators._base import Document, StepOperator
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.split import SplitSpec

if TYPE_CHECKING:
    from airflow_mlops.core.split import DatasetSplit
    from airflow_mlops.core.values import PipelineRun

__all__ = ["SplitDatasetOperator"]


class SplitDatasetOperator(StepOperator):
    """Make the rows to train on from a snapshot, and hold some of them back.

    Gives a :class:`~airflow_mlops.core.split.DatasetSplit`. See
    :func:`~airflow_mlops.steps.split.split_dataset`.

    :param snapshot: what :class:`SnapshotDatasetOperator` gave. (templated)
    :param data: a :class:`~airflow_mlops.specs.DatasetSpec`, or its settings: the features and the
        timestamp. (templated)
    :param split: a :class:`~airflow_mlops.specs.SplitSpec`, or its settings. (templated)
    """

    template_fields = ("snapshot", "data", "split", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        snapshot: Document,
        data: DatasetSpec | Mapping[str, Any],
        split: SplitSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.data = data
        self.split = split

    def call_step(self, run: PipelineRun) -> DatasetSplit:
        """Make the split."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.split import split_dataset

        return split_dataset(
            DatasetSnapshot.from_dict(self.snapshot),
            DatasetSpec.parse(self.data),
            SplitSpec.parse(self.split or {}),
            storage=get_storage(),
        )
