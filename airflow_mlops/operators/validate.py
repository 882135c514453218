"""Validation: is the data what it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.validate import ValidationSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.validation.findings import ValidationReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["ValidateDataOperator"]


class ValidateDataOperator(StepOperator):
    """Check a snapshot by a Great Expectations suite and against what the champion was trained on.

    Gives a :class:`~airflow_mlops.core.validation.findings.ValidationReport`, also when it halts, and under the key
    ``snapshot`` the snapshot that may be trained on: the one that was checked, or what is left of it when bad
    rows went to quarantine. See :func:`~airflow_mlops.steps.validation.validate.validate_dataset`.

    The verdict HALT fails the task for good, unless ``branches`` leads it elsewhere.

    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave. (templated)
    :param validation: a :class:`~airflow_mlops.specs.ValidationSpec`, or its settings. (templated)
    :param model_name: whose champion's data to compare with as well. (templated)
    :param branches: by verdict, the ids of the tasks right after this one that are to run; the others are
        skipped. A verdict that is not named goes on with all of them, and HALT fails.
    """

    template_fields = ("snapshot", "validation", "model_name", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        snapshot: Document,
        validation: ValidationSpec | Mapping[str, Any],
        model_name: str | None = None,
        branches: Mapping[str, str | Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.validation = validation
        self.model_name = model_name
        self.branches = branches

    def call_step(self, run: PipelineRun) -> ValidationReport:
        """Validate the snapshot."""
        from airflow_mlops.core.data.snapshot import DatasetSnapshot
        from airflow_mlops.core.validation.findings import check_verdicts
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.steps.validation.validate import validate_dataset

        check_verdicts(self.branches or {})
        return validate_dataset(
            DatasetSnapshot.from_dict(self.snapshot),
            ValidationSpec.parse(self.validation),
            model_name=self.model_name,
            connections=AirflowConnections(),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: ValidationReport, context: Context) -> None:
        """Follow the verdict: to its branch, or on; fail on HALT."""
        branch = (self.branches or {}).get(value.verdict)
        if value.accepted is not None:
            context["ti"].xcom_push(key="snapshot", value=value.accepted.to_dict())
        if branch is None:
            value.require_accepted()
        else:
            self.skip_all_except(context["ti"], branch)
