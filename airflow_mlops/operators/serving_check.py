"""Serving: the packaged model is served before it is promoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from airflow_mlops.operators._base import Document, ReportLink, StepOperator
from airflow_mlops.specs.serving_check import ServingCheckSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.packaging.serving_check import ServingCheckReport
    from airflow_mlops.core.values import PipelineRun

__all__ = ["ServingCheckOperator"]


class ServingCheckOperator(StepOperator):
    """Serve a model in MLflow's scoring server, and see that it answers rightly, refuses malformed requests.

    Gives a :class:`~airflow_mlops.core.packaging.serving_check.ServingCheckReport`, also when it fails. See
    :func:`~airflow_mlops.steps.packaging.serving_check.check_serving`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param serving_check: a :class:`~airflow_mlops.specs.ServingCheckSpec`, or its settings. (templated)
    :param on_failure: ``fail`` the task for good, or only ``report``, for a gate that judges the report.
    """

    renamed = {"serving": "serving_check"}
    template_fields = ("model", "split", "serving_check", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model: Document,
        split: Document,
        serving_check: ServingCheckSpec | Mapping[str, Any] | None = None,
        on_failure: Literal["fail", "report"] = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.split = split
        self.serving_check = serving_check
        self.on_failure = on_failure

    def call_step(self, run: PipelineRun) -> ServingCheckReport:
        """Serve the model and ask it."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import TrainedModel
        from airflow_mlops.steps.packaging.serving_check import check_serving

        return check_serving(
            TrainedModel.from_dict(self.model),
            DatasetSplit.from_dict(self.split),
            ServingCheckSpec.parse(self.serving_check or {}),
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: ServingCheckReport, context: Context) -> None:
        """Fail when the model does not serve as it must, unless a gate is to judge."""
        if self.on_failure != "report":
            value.require_ok()
