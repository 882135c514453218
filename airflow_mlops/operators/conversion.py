"""Export of a model into another format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, MlflowLink, ReportLink, StepOperator
from airflow_mlops.specs.conversion import ConversionSpec

if TYPE_CHECKING:
    from airflow_mlops.core.packaging.conversion import ConversionReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["ConvertModelOperator"]


class ConvertModelOperator(StepOperator):
    """Convert a model to ONNX, and keep the result if it answers as the model does.

    Gives an :class:`~airflow_mlops.core.packaging.conversion.ConversionReport`. A model that can't be converted, or
    answers otherwise, does not fail the task. See :func:`~airflow_mlops.steps.packaging.convert.convert_model`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param conversion: an :class:`~airflow_mlops.specs.ConversionSpec`, or its settings. (templated)
    """

    renamed = {"export": "conversion"}
    template_fields = ("model", "split", "conversion", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(), MlflowLink())

    def __init__(
        self,
        *,
        model: Document,
        split: Document,
        conversion: ConversionSpec | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.split = split
        self.conversion = conversion

    def call_step(self, run: PipelineRun) -> ConversionReport:
        """Export."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import TrainedModel
        from airflow_mlops.steps.packaging.convert import convert_model

        return convert_model(
            TrainedModel.from_dict(self.model),
            DatasetSplit.from_dict(self.split),
            ConversionSpec.parse(self.conversion or {}),
            platform=self.platform(),
            run=run,
        )
