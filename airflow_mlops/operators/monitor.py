"""Monitoring: has the data moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator, parse_moment
from airflow_mlops.specs.monitor import MonitoringSpec

if TYPE_CHECKING:
    from airflow_mlops.core.monitor import DriftReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["DriftCheckOperator"]


class DriftCheckOperator(StepOperator):
    """Compare rows that the champion did not learn from with what it learnt from.

    With a snapshot: its rows that are new since the champion's data. Without one: what the champion was asked and said
    lately, from the inference log. Gives a :class:`~airflow_mlops.core.monitor.DriftReport`; drift is reported and
    fails nothing. See :func:`~airflow_mlops.steps.drift.check_drift` and
    :func:`~airflow_mlops.steps.drift.check_log_drift`.

    :param model_name: whose champion's data is the reference. (templated)
    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave; ``None``: the inference log.
        (templated)
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    :param window_end: the last moment of the inference log that is looked at; by default the one from which on the
        DAG run could run, so that a retry looks at the same rows. (templated)
    """

    template_fields = ("model_name", "snapshot", "monitoring", "window_end", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        snapshot: Document | None = None,
        monitoring: MonitoringSpec | Mapping[str, Any] | None = None,
        window_end: str = "{{ dag_run.run_after }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.snapshot = snapshot
        self.monitoring = monitoring
        self.window_end = window_end

    def call_step(self, run: PipelineRun) -> DriftReport:
        """Check for drift."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.drift import check_drift, check_log_drift

        monitoring = MonitoringSpec.parse(self.monitoring or {})
        common: dict[str, Any] = {"model_name": self.model_name, "platform": self.platform(), "run": run}
        if self.snapshot:
            return check_drift(DatasetSnapshot.from_dict(self.snapshot), monitoring, **common)
        return check_log_drift(monitoring, window_end=parse_moment(self.window_end, "window_end"), **common)
