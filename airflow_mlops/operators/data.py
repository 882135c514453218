"""Data: copy it, check it, part it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.data import DatasetSpec, SplitSpec, ValidationSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.data import DatasetSnapshot, DatasetSplit, ValidationReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["SnapshotDatasetOperator", "SplitDatasetOperator", "ValidateDataOperator"]


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


class ValidateDataOperator(StepOperator):
    """Check a snapshot by a Great Expectations suite, and fail the task for good when the verdict is HALT.

    Gives a :class:`~airflow_mlops.core.data.ValidationReport`, also when it halts. See
    :func:`~airflow_mlops.steps.data.validate_dataset`.

    :param snapshot: what :class:`SnapshotDatasetOperator` gave. (templated)
    :param validation: a :class:`~airflow_mlops.specs.ValidationSpec`, or its settings. (templated)
    :param model_name: whose champion's columns to compare with as well. (templated)
    """

    template_fields = ("snapshot", "validation", "model_name", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        snapshot: Document,
        validation: ValidationSpec | Mapping[str, Any],
        model_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.validation = validation
        self.model_name = model_name

    def call_step(self, run: PipelineRun) -> ValidationReport:
        """Validate the snapshot."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.data import validate_dataset

        return validate_dataset(
            DatasetSnapshot.from_dict(self.snapshot),
            ValidationSpec.parse(self.validation),
            model_name=self.model_name,
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: ValidationReport, context: Context) -> None:
        """Fail on HALT."""
        value.require_proceed()


class SplitDatasetOperator(StepOperator):
    """Make the rows to train on from a snapshot, and hold some of them back.

    Gives a :class:`~airflow_mlops.core.data.DatasetSplit`. See
    :func:`~airflow_mlops.steps.data.split_dataset`.

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
        from airflow_mlops.steps.data import split_dataset

        return split_dataset(
            DatasetSnapshot.from_dict(self.snapshot),
            DatasetSpec.parse(self.data),
            SplitSpec.parse(self.split or {}),
            storage=get_storage(),
        )
