"""Evaluation and the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.errors import NotBlessedError
from airflow_mlops.operators._base import Document, ReportLink, Runner, StepOperator
from airflow_mlops.operators._notify import Notifying
from airflow_mlops.specs.evaluate import GateSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.evaluation.report import EvaluationReport
    from airflow_mlops.core.gate.rules import Blessing
    from airflow_mlops.core.values import PipelineRun

__all__ = ["BlessModelOperator", "EvaluateModelOperator"]


class EvaluateModelOperator(StepOperator):
    """Score challenger, champion and a naive baseline on the same held-out rows.

    Gives an :class:`~airflow_mlops.core.evaluation.report.EvaluationReport`. See
    :func:`~airflow_mlops.steps.evaluation.evaluate.evaluate_model`.

    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param gate: a :class:`~airflow_mlops.specs.GateSpec`, or its settings: metrics, baseline and
        interval. (templated)
    :param runner: where it runs: a :class:`~airflow_mlops.specs.PythonRunner` or a
        :class:`~airflow_mlops.specs.CommandRunner`, or its settings; by default in the task's process. (templated)
    """

    template_fields = ("model", "split", "gate", "runner", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model: Document,
        split: Document,
        gate: GateSpec | Mapping[str, Any],
        runner: Runner | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.split = split
        self.gate = gate
        self.runner = runner

    def call_step(self, run: PipelineRun) -> EvaluationReport:
        """Evaluate."""
        from airflow_mlops.core.evaluation.report import EvaluationReport
        from airflow_mlops.core.splitting.split import DatasetSplit
        from airflow_mlops.core.training.model import TrainedModel

        return self.run_step(
            "evaluate",
            EvaluationReport,
            runner=self.runner,
            run=run,
            model=TrainedModel.from_dict(self.model),
            split=DatasetSplit.from_dict(self.split),
            gate=GateSpec.parse(self.gate),
        )


class BlessModelOperator(Notifying, StepOperator):
    """Let the gate judge an evaluation.

    Gives a :class:`~airflow_mlops.core.gate.rules.Blessing`. A challenger that is not blessed is a normal end
    of the run: what comes after is skipped, and the champion stays; unless a person is to be asked. See
    :func:`~airflow_mlops.steps.gate.bless.bless_model`.

    :param evaluation: what :class:`EvaluateModelOperator` gave. (templated)
    :param model: what :class:`~airflow_mlops.operators.TrainModelOperator` gave. (templated)
    :param gate: a :class:`~airflow_mlops.specs.GateSpec`, or its settings. (templated)
    :param serving_check: what :class:`~airflow_mlops.operators.ServingCheckOperator` gave, where the model was tried.
        (templated)
    :param notifications: who is notified of a rejection: each a :class:`~airflow_mlops.specs.NotificationSpec`, or its
        settings.
    """

    renamed = {"serving": "serving_check"}
    template_fields = ("evaluation", "model", "gate", "serving_check", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        evaluation: Document,
        model: Document,
        gate: GateSpec | Mapping[str, Any],
        serving_check: Document | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.evaluation = evaluation
        self.model = model
        self.gate = gate
        self.serving_check = serving_check

    def call_step(self, run: PipelineRun) -> Blessing:
        """Judge."""
        from airflow_mlops.core.evaluation.report import EvaluationReport
        from airflow_mlops.core.packaging.serving_check import ServingCheckReport
        from airflow_mlops.core.training.model import TrainedModel
        from airflow_mlops.steps.gate.bless import bless_model

        return bless_model(
            EvaluationReport.from_dict(self.evaluation),
            GateSpec.parse(self.gate),
            TrainedModel.from_dict(self.model),
            serving_check=ServingCheckReport.from_dict(self.serving_check) if self.serving_check else None,
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: Blessing, context: Context) -> None:
        """Skip the rest, or fail, when the challenger is not blessed and nobody is to be asked."""
        from airflow_mlops.core.observability.notifications import tell_blessing

        if not value.is_over:
            return
        self.notify(tell_blessing(value, url=self.report_link), context)
        if GateSpec.parse(self.gate).on_rejection == "fail":
            raise NotBlessedError(str(value))
        self.skip_the_rest(context, str(value))
