"""Is it worth training again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator, parse_json
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.retraining.decision import RetrainDecision
    from airflow_mlops.core.values import PipelineRun

__all__ = ["DecideRetrainOperator"]


class DecideRetrainOperator(StepOperator):
    """Decide whether the run trains; if not, skip the rest of it.

    Gives a :class:`~airflow_mlops.core.retraining.decision.RetrainDecision`, which is also in the ledger. See
    :func:`~airflow_mlops.steps.retraining.decide.decide_retrain`.

    :param model_name: the model that the decision is about. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param training: a :class:`~airflow_mlops.specs.TrainingSpec`, or its settings. (templated)
    :param hyperparameters: values that replace the spec's, as a mapping or as JSON. (templated)
    :param validation: what :class:`~airflow_mlops.operators.ValidateDataOperator` gave, for the reasons. (templated)
    :param drift: what :class:`~airflow_mlops.operators.DriftCheckOperator` gave, for the reasons. (templated)
    :param performance: what :class:`~airflow_mlops.operators.PerformanceCheckOperator` gave. (templated)
    :param gate: a :class:`~airflow_mlops.specs.GateSpec`, or its settings: what another gate rejected is worth
        training again. (templated)
    :param tuning: a :class:`~airflow_mlops.specs.TuningSpec`, or its settings, where a search comes before the
        training. (templated)
    :param policy: a :class:`~airflow_mlops.specs.RetrainPolicy`, or its settings: when to train; by default on whatever
        is new. (templated)
    :param force: train in any case; ``true`` or ``false``, also as text. (templated)
    """

    template_fields = (
        "model_name",
        "split",
        "training",
        "hyperparameters",
        "validation",
        "drift",
        "performance",
        "gate",
        "tuning",
        "policy",
        "force",
        *StepOperator.template_fields,
    )
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        split: Document,
        training: TrainingSpec | Mapping[str, Any],
        hyperparameters: Mapping[str, Any] | str | None = None,
        validation: Document | None = None,
        drift: Document | None = None,
        performance: Document | None = None,
        gate: GateSpec | Mapping[str, Any] | None = None,
        tuning: TuningSpec | Mapping[str, Any] | None = None,
        policy: RetrainPolicy | Mapping[str, Any] | None = None,
        force: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.split = split
        self.training = training
        self.hyperparameters = hyperparameters
        self.validation = validation
        self.drift = drift
        self.performance = performance
        self.gate = gate
        self.tuning = tuning
        self.policy = policy
        self.force = force

    def call_step(self, run: PipelineRun) -> RetrainDecision:
        """Decide."""
        from airflow_mlops.core.monitoring.drift_report import DriftReport
        from airflow_mlops.core.monitoring.performance_report import PerformanceReport
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import merge_params
        from airflow_mlops.core.training.tuning import keep_chosen
        from airflow_mlops.core.validation.findings import ValidationReport
        from airflow_mlops.steps.retraining.decide import decide_retrain

        chosen = parse_json(self.hyperparameters, "hyperparameters")
        training, tuning = TrainingSpec.parse(self.training), TuningSpec.parse(self.tuning) if self.tuning else None
        if tuning:
            training, tuning = keep_chosen(training, tuning, chosen)
        else:
            training = merge_params(training, chosen)
        return decide_retrain(
            DatasetSplit.from_dict(self.split),
            training,
            model_name=self.model_name,
            validation=ValidationReport.from_dict(self.validation) if self.validation else None,
            drift=DriftReport.from_dict(self.drift) if self.drift else None,
            performance=PerformanceReport.from_dict(self.performance) if self.performance else None,
            gate=GateSpec.parse(self.gate) if self.gate else None,
            tuning=tuning,
            policy=RetrainPolicy.parse(self.policy or {}),
            force=str(self.force).lower() == "true",
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: RetrainDecision, context: Context) -> None:
        """Skip the rest on no."""
        if not value.should_retrain:
            self.skip_the_rest(context, str(value))
