"""Monitoring: has the data moved, and is what production shows a reason to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.assets import alert_asset
from airflow_mlops.operators._base import Document, ReportLink, StepOperator, parse_time
from airflow_mlops.operators._notify import Notifying
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.specs.retrain import RetrainPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.monitoring.drift_report import DriftReport
    from airflow_mlops.core.retraining.alert import MonitoringDecision
    from airflow_mlops.core.values import PipelineRun

__all__ = ["DriftCheckOperator", "RaiseAlertOperator"]


class DriftCheckOperator(StepOperator):
    """Compare rows that the champion was not trained on with what it was trained on.

    With a snapshot: its rows that are new since the champion's data. Without one: what the champion was asked and said
    lately, from the inference log. Gives a :class:`~airflow_mlops.core.monitoring.drift_report.DriftReport`; drift is
    reported and fails nothing. See :func:`~airflow_mlops.steps.monitoring.drift.check_drift` and
    :func:`~airflow_mlops.steps.monitoring.drift.check_log_drift`.

    :param model_name: whose champion's data is the reference. (templated)
    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave; ``None``: the inference log.
        (templated)
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    :param window_end: the last time of the inference log that is looked at; by default the one from which on the
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
        from airflow_mlops.core.data.snapshot import DatasetSnapshot
        from airflow_mlops.steps.monitoring.drift import check_drift, check_log_drift

        monitoring = MonitoringSpec.parse(self.monitoring or {})
        common: dict[str, Any] = {"model_name": self.model_name, "platform": self.platform(), "run": run}
        if self.snapshot:
            return check_drift(DatasetSnapshot.from_dict(self.snapshot), monitoring, **common)
        return check_log_drift(monitoring, window_end=parse_time(self.window_end, "window_end"), **common)


class RaiseAlertOperator(Notifying, StepOperator):
    """Decide whether what the checks of production found starts the training; if not, the task is skipped.

    Gives a :class:`~airflow_mlops.core.retraining.alert.MonitoringDecision`, which is also in the ledger. With the
    model's alert asset among its ``outlets`` an alert is an event. See
    :func:`~airflow_mlops.steps.retraining.alert.raise_alert` and
    :func:`~airflow_mlops.assets.alert_asset`.

    :param model_name: the model whose production is watched. (templated)
    :param kinds: the evidence that may start a training: ``drift``, ``performance``.
    :param drift: what :class:`DriftCheckOperator` gave. (templated)
    :param performance: what :class:`~airflow_mlops.operators.PerformanceCheckOperator` gave. (templated)
    :param checks: the checks that there are to be: one of them that gave nothing has failed, which the reasons say.
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    :param policy: a :class:`~airflow_mlops.specs.RetrainPolicy`, or its settings: that of the training. (templated)
    :param notifications: who is notified of an alert: each a :class:`~airflow_mlops.specs.NotificationSpec`, or its
        settings.
    """

    template_fields = ("model_name", "drift", "performance", "monitoring", "policy", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        kinds: Sequence[str],
        drift: Document | None = None,
        performance: Document | None = None,
        checks: Sequence[str] = (),
        monitoring: MonitoringSpec | Mapping[str, Any] | None = None,
        policy: RetrainPolicy | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.kinds = kinds
        self.drift = drift
        self.performance = performance
        self.checks = checks
        self.monitoring = monitoring
        self.policy = policy

    def call_step(self, run: PipelineRun) -> MonitoringDecision:
        """Decide."""
        from airflow_mlops.core.monitoring.drift_report import DriftReport
        from airflow_mlops.core.monitoring.performance_report import PerformanceReport
        from airflow_mlops.steps.retraining.alert import raise_alert

        return raise_alert(
            model_name=self.model_name,
            kinds=self.kinds,
            drift=DriftReport.from_dict(self.drift) if self.drift else None,
            performance=PerformanceReport.from_dict(self.performance) if self.performance else None,
            checks=self.checks,
            monitoring=MonitoringSpec.parse(self.monitoring or {}),
            policy=RetrainPolicy.parse(self.policy or {}),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: MonitoringDecision, context: Context) -> None:
        """Say in the event what the alert is about, or skip: a task that succeeds would give an event."""
        from airflow_mlops.core.observability.notifications import tell_alert

        if not value.is_alert:
            raise AirflowSkipException(str(value))
        uri = alert_asset(value.model_name).uri
        for outlet in self.outlets:
            if getattr(outlet, "uri", None) == uri:
                context["outlet_events"][outlet].extra = value.to_dict()
        self.notify(tell_alert(value), context)
