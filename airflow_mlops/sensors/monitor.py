"""Drift."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.hooks.platform import get_platform
from airflow_mlops.hooks.tasks import failures_for_airflow, pipeline_run
from airflow_mlops.hooks.telemetry import send_telemetry
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.triggers.monitor import LoggedRowsTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.monitoring.drift_report import DriftReport
    from airflow_mlops.core.observability.telemetry import Measurement

__all__ = ["DriftSensor"]


class DriftSensor(BaseSensorOperator):
    """Wait until what a champion is asked, or what it says, has drifted.

    The triggerer waits until ``monitoring.min_rows`` rows have come into the inference log, the task then checks the
    last ``monitoring.trailing`` of it, and goes on waiting for as many new rows if all of it was compared and nothing
    moved, or there is nothing to tell yet. Gives the :class:`~airflow_mlops.core.monitoring.drift_report.DriftReport`,
    whose status is ``DRIFTED``, or ``INCOMPLETE`` where columns are gone. See
    :func:`~airflow_mlops.steps.monitoring.drift.check_log_drift`.

    :param model_name: whose champion's data is the reference. (templated)
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    :param mlflow_conn_id: the Airflow connection to MLflow. (templated)
    :param poke_interval: seconds between two checks of the log.
    """

    template_fields = ("model_name", "monitoring", "mlflow_conn_id")

    def __init__(
        self,
        *,
        model_name: str,
        monitoring: MonitoringSpec | Mapping[str, Any] | None = None,
        mlflow_conn_id: str = MlflowHook.default_conn_name,
        poke_interval: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.model_name = model_name
        self.monitoring = monitoring
        self.mlflow_conn_id = mlflow_conn_id

    def execute(self, context: Context) -> None:
        """Hand the waiting over to the triggerer."""
        with failures_for_airflow():
            self._wait(seen_until=0.0, deadline=time.time() + self.timeout)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check what has come, and return what was found, or wait for more."""
        from airflow_mlops.core.monitoring.drift_report import DriftStatus
        from airflow_mlops.steps.monitoring.drift import check_log_drift

        with failures_for_airflow():
            report = check_log_drift(
                MonitoringSpec.parse(self.monitoring or {}),
                model_name=self.model_name,
                window_end=datetime.fromtimestamp(event["seen_until"], UTC),
                platform=get_platform(self.mlflow_conn_id),
                run=pipeline_run(context),
            )
        send_telemetry(lambda: _measure(report))
        if report.status not in (DriftStatus.DRIFTED, DriftStatus.INCOMPLETE):
            self._wait(seen_until=event["seen_until"], deadline=event["deadline"])
        return report.to_dict()

    def _wait(self, *, seen_until: float, deadline: float) -> None:
        left = deadline - time.time()
        if left <= 0:
            raise AirflowSensorTimeout(f"{self.model_name} has not drifted within {self.timeout:g} seconds.")
        monitoring = MonitoringSpec.parse(self.monitoring or {})
        trigger = LoggedRowsTrigger(
            model_name=self.model_name,
            min_rows=monitoring.min_rows,
            trailing_s=monitoring.trailing.total_seconds(),
            deadline=deadline,
            seen_until=seen_until,
            poll_interval_s=self.poke_interval,
        )
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=timedelta(seconds=left),
        )


def _measure(report: DriftReport) -> list[Measurement]:
    from airflow_mlops.core.observability.measurements import measure

    return measure(report, now=datetime.now(UTC))
