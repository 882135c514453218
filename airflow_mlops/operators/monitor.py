"""Monitoring: has the data moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.monitor import MonitoringSpec

if TYPE_CHECKING:
    from airflow_mlops.core.monitor import DriftReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["DriftCheckOperator"]


class DriftCheckOperator(StepOperator):
    """Compare the rows that are new since the champion's data with that data's stored profile.

    Gives a :class:`~airflow_mlops.core.monitor.DriftReport`; drift is reported and fails nothing. See
    :func:`~airflow_mlops.steps.monitor.check_drift`.

    :param model_name: whose champion's data is the reference. (templated)
    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave. (templated)
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    """

    template_fields = ("model_name", "snapshot", "monitoring", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        snapshot: Document,
        monitoring: MonitoringSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.snapshot = snapshot
        self.monitoring = monitoring

    def call_step(self, run: PipelineRun) -> DriftReport:
        """Check for drift."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.monitor import check_drift

        return check_drift(
            DatasetSnapshot.from_dict(self.snapshot),
            MonitoringSpec.parse(self.monitoring or {}),
            model_name=self.model_name,
            platform=self.platform(),
            run=run,
        )
