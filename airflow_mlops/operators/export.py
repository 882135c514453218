"""Export of a model into another format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, MlflowLink, ReportLink, StepOperator
from airflow_mlops.specs.export import ExportSpec

if TYPE_CHECKING:
    from airflow_mlops.core.packaging.export import ExportReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["ExportModelOperator"]


class ExportModelOperator(StepOperator):
    """Convert a model to ONNX, and keep the result if it answers as the model does.

    Gives an :class:`~airflow_mlops.core.packaging.export.ExportReport`. A model that can't be converted, or answers
    otherwise, does not fail the task. See :func:`~airflow_mlops.steps.packaging.export.export_model`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param export: an :class:`~airflow_mlops.specs.ExportSpec`, or its settings. (templated)
    """

    template_fields = ("model", "split", "export", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(), MlflowLink())

    def __init__(
        self,
        *,
        model: Document,
        split: Document,
        export: ExportSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.split = split
        self.export = export

    def call_step(self, run: PipelineRun) -> ExportReport:
        """Export."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import TrainedModel
        from airflow_mlops.steps.packaging.export import export_model

        return export_model(
            TrainedModel.from_dict(self.model),
            DatasetSplit.from_dict(self.split),
            ExportSpec.parse(self.export or {}),
            platform=self.platform(),
            run=run,
        )
