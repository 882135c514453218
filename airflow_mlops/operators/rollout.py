"""Online validation: a version is tried on live requests before it becomes champion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_mlops.operators._base import Document, ReportLink, StepOperator, pipeline_run
from airflow_mlops.operators._notify import Notifying
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.specs.rollout import RolloutSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.rollout.deployment import Deployment
    from airflow_mlops.core.rollout.online_validation import RolloutReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["CanaryAnalysisOperator", "DeployModelOperator"]


class DeployModelOperator(StepOperator):
    """Give a version its share of the live requests, beside the champion.

    Gives a :class:`~airflow_mlops.core.rollout.deployment.Deployment`, which model servers follow, or nothing where
    there is no champion yet, or the policy is to hold. See
    :func:`~airflow_mlops.steps.rollout.online_validation.start_rollout`.

    :param version: what :class:`~airflow_mlops.operators.RegisterModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    :param rollout: a :class:`~airflow_mlops.specs.RolloutSpec`, or its settings. (templated)
    :param policy: with ``hold`` nothing is promoted, and so nothing tried. (templated)
    :param approval: what :class:`~airflow_mlops.operators.ApprovePromotionOperator` gave. (templated)
    :param needs_approval: whether nothing is promoted without an approval.
    """

    template_fields = ("version", "blessing", "rollout", "policy", "approval", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        version: Document,
        blessing: Document,
        rollout: RolloutSpec | Mapping[str, Any],
        policy: str = "automatic",
        approval: Document | None = None,
        needs_approval: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.blessing = blessing
        self.rollout = rollout
        self.policy = policy
        self.approval = approval
        self.needs_approval = needs_approval

    def call_step(self, run: PipelineRun) -> Deployment | None:
        """Deploy."""
        from airflow_mlops.core.gate.rules import Blessing
        from airflow_mlops.core.promotion.approval import Approval
        from airflow_mlops.core.registry.journal import ModelVersion
        from airflow_mlops.steps.rollout.online_validation import start_rollout

        if self.policy == "hold":
            return None
        return start_rollout(
            ModelVersion.from_dict(self.version),
            Blessing.from_dict(self.blessing),
            RolloutSpec.parse(self.rollout),
            approval=Approval.from_dict(self.approval) if self.approval else None,
            needs_approval=self.needs_approval,
            platform=self.platform(),
            run=run,
        )


class CanaryAnalysisOperator(Notifying, StepOperator):
    """Watch a version that is tried, and let it go on only if it does no harm.

    The task sleeps in the triggerer between its checks. Gives a
    :class:`~airflow_mlops.core.rollout.online_validation.RolloutReport`. A version that is shown to do harm, or of
    which nothing can be told until the end, is taken back: the champion serves alone, what comes after is skipped, and
    the run is green. See
    :func:`~airflow_mlops.steps.rollout.online_validation.look_at_rollout`.

    :param deployment: what :class:`DeployModelOperator` gave; nothing is watched where it gave nothing. (templated)
    :param version: what :class:`~airflow_mlops.operators.RegisterModelOperator` gave. (templated)
    :param rollout: a :class:`~airflow_mlops.specs.RolloutSpec`, or its settings. (templated)
    :param performance: a :class:`~airflow_mlops.specs.PerformanceSpec`, or its settings: how labels find what the
        challenger predicted, where they come in time. (templated)
    :param notifications: who is notified of a version that was taken back: each a
        :class:`~airflow_mlops.specs.NotificationSpec`, or its settings.
    """

    template_fields = ("deployment", "version", "rollout", "performance", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        deployment: Document,
        version: Document,
        rollout: RolloutSpec | Mapping[str, Any],
        performance: PerformanceSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment
        self.version = version
        self.rollout = rollout
        self.performance = performance

    def execute(self, context: Context) -> None:
        """Sleep until the first check."""
        if self.deployment:
            self._sleep_until(1)

    def look(self, context: Context, event: datetime) -> dict[str, Any] | None:
        """Look, when the task has slept until a time."""
        self._now = datetime.fromtimestamp(event.timestamp(), UTC)  # Airflow's own kind of time can't be divided
        return super().execute(context)

    def call_step(self, run: PipelineRun) -> RolloutReport:
        """Look at what was served until now."""
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.rollout.online_validation import look_at_rollout

        return look_at_rollout(
            self._deployed(),
            RolloutSpec.parse(self.rollout),
            look=round((self._now - self._deployed().since) / self._step()),
            now=self._now,
            performance=PerformanceSpec.parse(self.performance) if self.performance else None,
            connections=AirflowConnections(),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: RolloutReport, context: Context) -> None:
        """Go on if it is healthy, sleep until the next check if that is still to be told, or take the version back."""
        from airflow_mlops.core.observability.notifications import tell_rollout
        from airflow_mlops.core.registry.journal import ModelVersion
        from airflow_mlops.core.rollout.online_validation import RolloutVerdict
        from airflow_mlops.steps.rollout.online_validation import take_back

        if value.verdict is RolloutVerdict.HEALTHY:
            return
        if value.verdict is RolloutVerdict.WATCHED:
            self._sleep_until(value.look + 1)
        take_back(value, ModelVersion.from_dict(self.version), platform=self.platform(), run=pipeline_run(context))
        self.notify(tell_rollout(value, url=self.report_link), context)
        self.skip_the_rest(context, str(value))

    def _sleep_until(self, look: int) -> None:
        """Defer, which does not return."""
        self.defer(trigger=DateTimeTrigger(self._deployed().since + look * self._step()), method_name="look")

    def _step(self) -> timedelta:
        """Return the time between two checks."""
        rollout = RolloutSpec.parse(self.rollout)
        return rollout.window / rollout.checks

    def _deployed(self) -> Deployment:
        from airflow_mlops.core.rollout.deployment import Deployment

        return Deployment.from_dict(self.deployment)
