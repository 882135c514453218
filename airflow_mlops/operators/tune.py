"""Tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, MlflowLink, ReportLink, StepOperator, parse_json
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec

if TYPE_CHECKING:
    from airflow_mlops.core.training.tuning import TuningResult
    from airflow_mlops.core.values import PipelineRun

__all__ = ["TuneModelOperator"]


class TuneModelOperator(StepOperator):
    """Search for hyperparameters; the test part of the split is not looked at.

    Gives a :class:`~airflow_mlops.core.training.tuning.TuningResult`, for ``TrainModelOperator(tuning=tune.output)``. A
    retry goes on from the trials that have ended. With ``partial(...).expand(worker=[0, 1, 2])`` three tasks share one
    search and one budget of trials. See :func:`~airflow_mlops.steps.training.tune.tune_model`.

    :param model_name: the MLflow experiment. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param training: a :class:`~airflow_mlops.specs.TrainingSpec`, or its settings. (templated)
    :param tuning: a :class:`~airflow_mlops.specs.TuningSpec`, or its settings. (templated)
    :param hyperparameters: values that a person chose, as a mapping or as JSON. Those that are not the spec's are
        not searched for. (templated)
    :param worker: tells apart the tasks that share a search. (templated)
    """

    template_fields = (
        "model_name",
        "split",
        "training",
        "tuning",
        "hyperparameters",
        "worker",
        *StepOperator.template_fields,
    )
    operator_extra_links = (ReportLink(), MlflowLink())

    def __init__(
        self,
        *,
        model_name: str,
        split: Document,
        training: TrainingSpec | Mapping[str, Any],
        tuning: TuningSpec | Mapping[str, Any],
        hyperparameters: Mapping[str, Any] | str | None = None,
        worker: int | str = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.split = split
        self.training = training
        self.tuning = tuning
        self.hyperparameters = hyperparameters
        self.worker = worker

    def call_step(self, run: PipelineRun) -> TuningResult:
        """Search, or find what was searched for already."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.tuning import keep_chosen
        from airflow_mlops.steps.training.tune import tune_model

        chosen = parse_json(self.hyperparameters, "hyperparameters")
        training, tuning = keep_chosen(TrainingSpec.parse(self.training), TuningSpec.parse(self.tuning), chosen)
        return tune_model(
            DatasetSplit.from_dict(self.split),
            training,
            tuning,
            model_name=self.model_name,
            platform=self.platform(),
            run=run,
            worker=self.worker,
        )
