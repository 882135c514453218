"""Training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, MlflowLink, Runner, StepOperator, parse_json
from airflow_mlops.specs.train import TrainingSpec

if TYPE_CHECKING:
    from airflow_mlops.core.training.model import TrainedModel
    from airflow_mlops.core.values import PipelineRun

__all__ = ["TrainModelOperator"]


class TrainModelOperator(StepOperator):
    """Fit an estimator, or call a training function, and log the model in MLflow.

    Gives a :class:`~airflow_mlops.core.training.model.TrainedModel`. See
    :func:`~airflow_mlops.steps.training.train.train_model`.

    :param model_name: the MLflow experiment, and the name that the model is registered under. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param training: a :class:`~airflow_mlops.specs.TrainingSpec`, or its settings. (templated)
    :param hyperparameters: values that replace the spec's, as a mapping or as JSON. (templated)
    :param tuning: what :class:`~airflow_mlops.operators.TuneModelOperator` gave, whose best hyperparameters replace the
        spec's. (templated)
    :param runner: where it runs: a :class:`~airflow_mlops.specs.PythonRunner` or a
        :class:`~airflow_mlops.specs.CommandRunner`, or its settings; by default in the task's process. (templated)
    """

    template_fields = (
        "model_name",
        "split",
        "training",
        "hyperparameters",
        "tuning",
        "runner",
        *StepOperator.template_fields,
    )
    operator_extra_links = (MlflowLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        split: Document,
        training: TrainingSpec | Mapping[str, Any],
        hyperparameters: Mapping[str, Any] | str | None = None,
        tuning: Document | None = None,
        runner: Runner | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.split = split
        self.training = training
        self.hyperparameters = hyperparameters
        self.tuning = tuning
        self.runner = runner

    def call_step(self, run: PipelineRun) -> TrainedModel:
        """Train."""
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import TrainedModel, merge_params
        from airflow_mlops.core.training.tuning import TuningResult

        overrides = parse_json(self.hyperparameters, "hyperparameters")
        return self.run_step(
            "train",
            TrainedModel,
            runner=self.runner,
            run=run,
            split=DatasetSplit.from_dict(self.split),
            training=merge_params(TrainingSpec.parse(self.training), overrides),
            model_name=self.model_name,
            tuning=TuningResult.from_dict(self.tuning) if self.tuning else None,
        )
