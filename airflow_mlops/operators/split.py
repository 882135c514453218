"""Split: the rows to train on and those that are held out, and whether one knows of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.split import LeakageSpec, SplitSpec
from airflow_mlops.specs.train import TrainingSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.splitting.leakage import LeakageReport
    from airflow_mlops.core.splitting.split import DatasetSplit
    from airflow_mlops.core.values import PipelineRun

__all__ = ["CheckLeakageOperator", "SplitDatasetOperator"]


class SplitDatasetOperator(StepOperator):
    """Make the rows to train on from a snapshot, and hold some of them back.

    Gives a :class:`~airflow_mlops.core.splitting.split.DatasetSplit`. See
    :func:`~airflow_mlops.steps.splitting.split.split_snapshot`.

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
        from airflow_mlops.core.data.snapshot import DatasetSnapshot
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.splitting.split import split_snapshot

        return split_snapshot(
            DatasetSnapshot.from_dict(self.snapshot),
            DatasetSpec.parse(self.data),
            SplitSpec.parse(self.split or {}),
            storage=get_storage(),
            connections=AirflowConnections(),
            run=run,
        )


class CheckLeakageOperator(StepOperator):
    """Look for leakage in a split, and fail the task for good when there is some.

    Gives a :class:`~airflow_mlops.core.splitting.leakage.LeakageReport`, also when it fails. See
    :func:`~airflow_mlops.steps.splitting.leakage.check_split`.

    :param split: what :class:`SplitDatasetOperator` gave. (templated)
    :param training: a :class:`~airflow_mlops.specs.TrainingSpec`, or its settings: the target and the features.
        (templated)
    :param leakage: a :class:`~airflow_mlops.specs.LeakageSpec`, or its settings. (templated)
    """

    template_fields = ("split", "training", "leakage", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        split: Document,
        training: TrainingSpec | Mapping[str, Any],
        leakage: LeakageSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.split = split
        self.training = training
        self.leakage = leakage

    def call_step(self, run: PipelineRun) -> LeakageReport:
        """Check for leakage."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.steps.splitting.leakage import check_split

        return check_split(
            DatasetSplit.from_dict(self.split),
            TrainingSpec.parse(self.training),
            LeakageSpec.parse(self.leakage or {}),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: LeakageReport, context: Context) -> None:
        """Fail when something leaks."""
        value.require_clean()
