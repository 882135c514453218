"""Performance in production: what late labels say of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import ReportLink, StepOperator
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.specs.promote import version_number

if TYPE_CHECKING:
    from airflow_mlops.core.monitoring.performance_report import PerformanceReport
    from airflow_mlops.core.observability.telemetry import Measurement
    from airflow_mlops.core.values import PipelineRun

__all__ = ["PerformanceCheckOperator"]


class PerformanceCheckOperator(StepOperator):
    """Join late labels to the logged predictions of the champion, and compare with its evaluation at the blessing.

    Gives a :class:`~airflow_mlops.core.monitoring.performance_report.PerformanceReport`; what it finds is reported and
    fails nothing. See
    :func:`~airflow_mlops.steps.monitoring.performance.check_performance`.

    :param model_name: the model whose champion is looked at. (templated)
    :param performance: a :class:`~airflow_mlops.specs.PerformanceSpec`, or its settings. (templated)
    :param model_version: another version to look at, such as a canary's; a number, also as text. (templated)
    """

    template_fields = ("model_name", "performance", "model_version", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        performance: PerformanceSpec | Mapping[str, Any],
        model_version: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.performance = performance
        self.model_version = model_version

    def call_step(self, run: PipelineRun) -> PerformanceReport:
        """Check the performance."""
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.monitoring.performance import check_performance

        return check_performance(
            PerformanceSpec.parse(self.performance),
            model_name=self.model_name,
            model_version=version_number("model_version", self.model_version),
            connections=AirflowConnections(),
            platform=self.platform(),
            run=run,
        )

    def measure(self, value: PerformanceReport) -> Sequence[Measurement]:
        """Return what is sent, which is of the champion: another version that is looked at must not pass for it."""
        return [] if self.model_version else super().measure(value)
