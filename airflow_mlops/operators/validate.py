"""Validation: is the data what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.validate import ValidationSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.validate import ValidationReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["ValidateDataOperator"]


class ValidateDataOperator(StepOperator):
    """Check a snapshot by a Great Expectations suite, and fail the task for good when the verdict is HALT.

    Gives a :class:`~airflow_mlops.core.validate.ValidationReport`, also when it halts. See
    :func:`~airflow_mlops.steps.validate.validate_dataset`.

    :param snapshot: what :class:`SnapshotDatasetOperator` gave. (templated)
    :param validation: a :class:`~airflow_mlops.specs.ValidationSpec`, or its settings. (templated)
    :param model_name: whose champion's columns to compare with as well. (templated)
    """

    template_fields = ("snapshot", "validation", "model_name", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        snapshot: Document,
        validation: ValidationSpec | Mapping[str, Any],
        model_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.validation = validation
        self.model_name = model_name

    def call_step(self, run: PipelineRun) -> ValidationReport:
        """Validate the snapshot."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.validate import validate_dataset

        return validate_dataset(
            DatasetSnapshot.from_dict(self.snapshot),
            ValidationSpec.parse(self.validation),
            model_name=self.model_name,
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: ValidationReport, context: Context) -> None:
        """Fail on HALT."""
        value.require_proceed()
