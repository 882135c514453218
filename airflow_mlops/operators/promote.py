"""Promotion: a blessed model becomes a version, a version becomes champion, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_mlops.assets import model_asset
from airflow_mlops.errors import MlopsError
from airflow_mlops.operators._base import Document, MlflowLink, ReportLink, StepOperator
from airflow_mlops.operators._notify import Notifying
from airflow_mlops.specs.promote import PromotionSpec, version_number

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.data.snapshot import DatasetSnapshot
    from airflow_mlops.core.observability.telemetry import Measurement
    from airflow_mlops.core.registry.journal import ModelVersion, PromotionRecord
    from airflow_mlops.core.values import PipelineRun

__all__ = ["PromoteModelOperator", "RegisterModelOperator", "RollbackModelOperator"]


class RegisterModelOperator(StepOperator):
    """Register a blessed model as a version, and write its card; the same model is the same version.

    Gives a :class:`~airflow_mlops.core.registry.journal.ModelVersion`; *Report* leads to the card. See
    :func:`~airflow_mlops.steps.promotion.promote.register_model`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    :param description: what the model is for, for its card. (templated)
    """

    template_fields = ("model", "blessing", "description", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(), MlflowLink())

    def __init__(self, *, model: Document, blessing: Document, description: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.blessing = blessing
        self.description = description

    def call_step(self, run: PipelineRun) -> ModelVersion:
        """Register."""
        from airflow_mlops.core.gate.rules import Blessing
        from airflow_mlops.core.training.model import TrainedModel
        from airflow_mlops.steps.promotion.promote import register_model

        return register_model(
            TrainedModel.from_dict(self.model),
            Blessing.from_dict(self.blessing),
            description=self.description,
            platform=self.platform(),
        )


class PromoteModelOperator(Notifying, StepOperator):
    """Make a version champion, if the champion is still the one that it was compared with.

    Gives a :class:`~airflow_mlops.core.registry.journal.PromotionRecord`, the entry in the journal; when the policy is
    to hold, the task is skipped. With the model's asset among its ``outlets`` it gives an event when the champion has
    changed. See :func:`~airflow_mlops.steps.promotion.promote.promote_model` and
    :func:`~airflow_mlops.assets.model_asset`.

    :param version: what :class:`RegisterModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    :param policy: ``automatic`` promotes, ``hold`` leaves the version registered. (templated)
    :param approval: what :class:`~airflow_mlops.operators.ApprovePromotionOperator` gave. (templated)
    :param needs_approval: whether nothing is promoted without an approval.
    :param canary: what :class:`~airflow_mlops.operators.CanaryAnalysisOperator` gave. (templated)
    :param notifications: who is notified of the promotion: each a :class:`~airflow_mlops.specs.NotificationSpec`, or
        its settings.
    """

    template_fields = ("version", "blessing", "policy", "approval", "canary", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        version: Document,
        blessing: Document,
        policy: str = "automatic",
        approval: Document | None = None,
        needs_approval: bool = False,
        canary: Document | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.blessing = blessing
        self.policy = policy
        self.approval = approval
        self.needs_approval = needs_approval
        self.canary = canary

    def call_step(self, run: PipelineRun) -> PromotionRecord:
        """Promote, or skip."""
        from airflow_mlops.core.gate.rules import Blessing
        from airflow_mlops.core.promotion.approval import Approval
        from airflow_mlops.core.registry.journal import ModelVersion
        from airflow_mlops.core.rollout.online_validation import RolloutReport
        from airflow_mlops.steps.promotion.promote import promote_model

        version = ModelVersion.from_dict(self.version)
        record = promote_model(
            version,
            Blessing.from_dict(self.blessing),
            policy=PromotionSpec.parse({"policy": self.policy}).policy,
            approval=Approval.from_dict(self.approval) if self.approval else None,
            needs_approval=self.needs_approval,
            canary=RolloutReport.from_dict(self.canary) if self.canary else None,
            platform=self.platform(),
            run=run,
        )
        if record is None:
            raise AirflowSkipException(f"{version.model_name} v{version.model_version} is registered and held.")
        return record

    def conclude(self, value: PromotionRecord, context: Context) -> None:
        """Tell that there is a new champion."""
        from airflow_mlops.core.observability.notifications import tell_journal

        _tell_asset(self, value, context)
        self.notify(tell_journal(value), context)

    def measure(self, value: PromotionRecord) -> Sequence[Measurement]:
        """Return what is sent, how long it took from the data to the champion among it."""
        from airflow_mlops.core.observability.measurements import measure

        return measure(value, given=self._trained_on(), now=datetime.now(UTC))

    def _trained_on(self) -> list[DatasetSnapshot]:
        from airflow_mlops.core.registry.journal import ModelVersion
        from airflow_mlops.steps.registry.training_record import find_snapshot

        try:
            snapshot = find_snapshot(ModelVersion.from_dict(self.version), platform=self.platform())
        except MlopsError as error:  # who is champion is to be sent all the same
            self.log.warning("not measured how long the promotion took: %s", error)
            return []
        return [snapshot] if snapshot else []


class RollbackModelOperator(Notifying, StepOperator):
    """Make the last healthy champion champion again, or an earlier one by name.

    Gives a :class:`~airflow_mlops.core.registry.journal.PromotionRecord`, the entry in the journal. With the model's
    asset among its ``outlets`` it gives an event. See :func:`~airflow_mlops.steps.promotion.promote.rollback_model` and
    :func:`~airflow_mlops.assets.model_asset`.

    :param model_name: the registered model. (templated)
    :param reason: why; the journal keeps it. (templated)
    :param from_version: the champion that is to go, also as text; nothing happens if it is another one by
        now. (templated)
    :param to_version: a version that was champion before, also as text; empty for the last healthy
        one. (templated)
    :param notifications: who is notified of it: each a :class:`~airflow_mlops.specs.NotificationSpec`, or its settings.
    """

    template_fields = ("model_name", "reason", "from_version", "to_version", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        model_name: str,
        reason: str,
        from_version: int | str | None = None,
        to_version: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.reason = reason
        self.from_version = from_version
        self.to_version = to_version

    def call_step(self, run: PipelineRun) -> PromotionRecord:
        """Roll back."""
        from airflow_mlops.steps.promotion.promote import rollback_model

        return rollback_model(
            self.model_name,
            reason=self.reason,
            from_version=version_number("from_version", self.from_version),
            to_version=version_number("to_version", self.to_version),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: PromotionRecord, context: Context) -> None:
        """Tell that another version serves."""
        from airflow_mlops.core.observability.notifications import tell_journal

        _tell_asset(self, value, context)
        self.notify(tell_journal(value), context)


def _tell_asset(operator: StepOperator, record: PromotionRecord, context: Context) -> None:
    """Say in the event of the model's asset what has changed, where the asset is an outlet."""
    from airflow_mlops.steps.promotion.champion import describe_change

    uri = model_asset(record.model_name).uri
    for outlet in operator.outlets:
        if getattr(outlet, "uri", None) == uri:
            change = describe_change(record, platform=operator.platform())
            context["outlet_events"][outlet].extra = change.to_dict()
