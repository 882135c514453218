"""Snapshots: the source's rows, copied once and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlops.extras import require_extras
from airflow_mlops.hooks.platform import get_storage
from airflow_mlops.operators._base import StepOperator
from airflow_mlops.specs.data import DatasetSpec

if TYPE_CHECKING:
    from airflow_mlops.core.data.snapshot import DatasetSnapshot
    from airflow_mlops.core.values import PipelineRun

__all__ = ["PruneSnapshotsOperator", "SnapshotDatasetOperator"]


class SnapshotDatasetOperator(StepOperator):
    """Copy a dataset's rows into the storage, named by the digest of their content.

    Gives a :class:`~airflow_mlops.core.data.snapshot.DatasetSnapshot`. See
    :func:`~airflow_mlops.steps.data.snapshot.snapshot_dataset`.

    :param dataset: the name that snapshots of this source are kept under. (templated)
    :param data: a :class:`~airflow_mlops.specs.DatasetSpec`, or its settings. (templated)
    :param extras: extras of this package that tasks after this one need, and what asks for each. Where one is not
        installed, this task fails, before it has read anything.
    """

    template_fields = ("dataset", "data", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        dataset: str,
        data: DatasetSpec | Mapping[str, Any],
        extras: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.data = data
        self.extras = extras

    def call_step(self, run: PipelineRun) -> DatasetSnapshot:
        """Make the snapshot."""
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.data.snapshot import snapshot_dataset

        require_extras(self.extras or {})
        return snapshot_dataset(
            DatasetSpec.parse(self.data),
            dataset=self.dataset,
            storage=get_storage(),
            connections=AirflowConnections(),
            run=run,
        )


class PruneSnapshotsOperator(StepOperator):
    """Remove old snapshots of a dataset that no run and no version in MLflow refers to.

    See :func:`~airflow_mlops.steps.maintenance.prune.prune_snapshots`. What was removed is in the task's log.

    :param dataset: the name that the snapshots are kept under. (templated)
    :param older_than: how long ago a snapshot has to have been made.
    :param only_list: log what would be removed, and remove nothing. (templated)
    """

    template_fields = ("dataset", "only_list", *StepOperator.template_fields)

    def __init__(
        self, *, dataset: str, older_than: timedelta = timedelta(days=30), only_list: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.older_than = older_than
        self.only_list = only_list

    def call_step(self, run: PipelineRun) -> None:  # every step is told of its run
        """Remove what nothing needs."""
        from airflow_mlops.steps.maintenance.prune import needed_snapshots, prune_snapshots

        platform = self.platform()
        pruned = prune_snapshots(
            self.dataset,
            storage=platform.storage,
            keep=needed_snapshots(platform=platform),
            older_than=self.older_than,
            now=datetime.now(UTC),
            dry_run=str(self.only_list).lower() in ("true", "1", "yes"),
        )
        for snapshot in pruned:
            self.log.info("pruned: digest=%s n_rows=%d uri=%s", snapshot.digest, snapshot.n_rows, snapshot.uri)
