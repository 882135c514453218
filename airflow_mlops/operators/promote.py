"""Promotion: a blessed model becomes a version, a version becomes champion, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops.errors import SpecError
from airflow_mlops.operators._base import Document, MlflowLink, StepOperator
from airflow_mlops.specs.promote import PromotionSpec

if TYPE_CHECKING:
    from airflow_mlops.core.promote import ModelVersion, PromotionRecord
    from airflow_mlops.core.values import PipelineRun

__all__ = ["PromoteModelOperator", "RegisterModelOperator", "RollbackModelOperator"]


class RegisterModelOperator(StepOperator):
    """Register a blessed model as a version; the same model is the same version.

    Gives a :class:`~airflow_mlops.core.promote.ModelVersion`. See
    :func:`~airflow_mlops.steps.promote.register_model`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    """

    template_fields = ("model", "blessing", *StepOperator.template_fields)
    operator_extra_links = (MlflowLink(),)

    def __init__(self, *, model: Document, blessing: Document, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.blessing = blessing

    def call_step(self, run: PipelineRun) -> ModelVersion:
        """Register."""
        from airflow_mlops.core.evaluate import Blessing
        from airflow_mlops.core.train import TrainedModel
        from airflow_mlops.steps.promote import register_model

        return register_model(
            TrainedModel.from_dict(self.model), Blessing.from_dict(self.blessing), platform=self.platform()
        )


class PromoteModelOperator(StepOperator):
    """Make a version champion, if the champion is still the one that it was compared with.

    Gives a :class:`~airflow_mlops.core.promote.PromotionRecord`, the entry in the journal, or nothing when
    the policy is to hold. See :func:`~airflow_mlops.steps.promote.promote_model`.

    :param version: what :class:`RegisterModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    :param policy: ``automatic`` promotes, ``hold`` leaves the version registered. (templated)
    """

    template_fields = ("version", "blessing", "policy", *StepOperator.template_fields)

    def __init__(self, *, version: Document, blessing: Document, policy: str = "automatic", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.blessing = blessing
        self.policy = policy

    def call_step(self, run: PipelineRun) -> PromotionRecord | None:
        """Promote."""
        from airflow_mlops.core.evaluate import Blessing
        from airflow_mlops.core.promote import ModelVersion
        from airflow_mlops.steps.promote import promote_model

        return promote_model(
            ModelVersion.from_dict(self.version),
            Blessing.from_dict(self.blessing),
            policy=PromotionSpec.parse({"policy": self.policy}).policy,
            platform=self.platform(),
            run=run,
        )


class RollbackModelOperator(StepOperator):
    """Make the last healthy champion champion again, or an earlier one by name.

    Gives a :class:`~airflow_mlops.core.promote.PromotionRecord`, the entry in the journal. See
    :func:`~airflow_mlops.steps.promote.rollback_model`.

    :param model_name: the registered model. (templated)
    :param reason: why; the journal keeps it. (templated)
    :param to_version: a version that was champion before, also as text; empty for the last healthy
        one. (templated)
    """

    template_fields = ("model_name", "reason", "to_version", *StepOperator.template_fields)

    def __init__(self, *, model_name: str, reason: str, to_version: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.reason = reason
        self.to_version = to_version

    def call_step(self, run: PipelineRun) -> PromotionRecord:
        """Roll back."""
        from airflow_mlops.steps.promote import rollback_model

        version = str(self.to_version or "").strip()
        if version and not version.isdigit():
            raise SpecError(f"to_version {version!r} is no version number. Nothing was rolled back.")
        return rollback_model(
            self.model_name,
            reason=self.reason,
            to_version=int(version) if version else None,
            platform=self.platform(),
            run=run,
        )
