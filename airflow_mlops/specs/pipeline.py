"""The whole pipeline as one spec."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from airflow_mlops.extras import EXTRAS
from airflow_mlops.specs._base import Spec
from airflow_mlops.specs.conversion import ConversionSpec
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.evaluate import GateSpec, check_task
from airflow_mlops.specs.monitor import MonitoringSpec, TriggerSpec
from airflow_mlops.specs.notify import NotificationSpec
from airflow_mlops.specs.performance import PerformanceSpec
from airflow_mlops.specs.promote import PromotionSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.specs.rollout import RolloutSpec
from airflow_mlops.specs.runner import InProcessRunner, RunnerSpec
from airflow_mlops.specs.serving_check import ServingCheckSpec
from airflow_mlops.specs.split import SplitSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec
from airflow_mlops.specs.validate import ValidationSpec

__all__ = ["PipelineSpec"]


class PipelineSpec(Spec):
    """Everything that continuous training of one model needs to know.

    :param model_name: name of the registered model, of the MLflow experiment and of the DAG.
    :param tuning: which hyperparameters are searched for before the training; ``None``: none.
    :param runner: where training and evaluation run.
    :param serving_check: how the packaged model is tried in a server before the gate judges it; ``None``: it is not
        tried.
    :param conversion: another format that the model is converted to, if it answers alike in it; ``None``: none.
    :param performance: how the champion's logged predictions are held against labels that come late; ``None``: they
        are not.
    :param retraining: when a run trains.
    :param triggers: what starts a run; none: only a person does.
    :param rollout: how a version is tried on live requests before it becomes champion; ``None``: it is not.
    :param notifications: who is notified of promotions, rejections, rollbacks, and approvals that are waited for.
    """

    renamed = {"export": "conversion", "serving": "serving_check"}

    model_name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)
    description: str = ""
    data: DatasetSpec
    validation: ValidationSpec
    split: SplitSpec = Field(default_factory=SplitSpec)
    training: TrainingSpec
    tuning: TuningSpec | None = None
    runner: RunnerSpec = Field(default_factory=InProcessRunner)
    gate: GateSpec
    serving_check: ServingCheckSpec | None = Field(default_factory=ServingCheckSpec)
    conversion: ConversionSpec | None = None
    promotion: PromotionSpec = Field(default_factory=PromotionSpec)
    rollout: RolloutSpec | None = None
    monitoring: MonitoringSpec = Field(default_factory=MonitoringSpec)
    performance: PerformanceSpec | None = None
    retraining: RetrainPolicy = Field(default_factory=RetrainPolicy)
    triggers: tuple[TriggerSpec, ...] = ()
    notifications: tuple[NotificationSpec, ...] = ()

    @model_validator(mode="after")
    def _can_be_tuned(self) -> Self:
        for name in self.tuning.space if self.tuning else ():
            if name not in self.training.params:
                raise ValueError(f"tuning.space.{name} is not in training.params; add it with the value to try first")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.split.method == "time" and not self.data.timestamp:
            raise ValueError("a split by time needs data.timestamp; or choose split.method: random")
        kinds = [trigger.type for trigger in self.triggers]
        if "new_data" in kinds:
            self._check_watched()
        if "performance" in kinds and not self.performance:
            raise ValueError("the trigger performance needs `performance`: where the labels are, and when it is worse")
        if self.performance:
            first = next(iter(self.gate.metrics))
            check_task(self.performance.metrics, self.gate.task, f"by gate.metrics ({first}) the target is of")
        if len(kinds) != len(set(kinds)):
            twice = next(kind for kind in kinds if kinds.count(kind) > 1)
            raise ValueError(f"triggers: there are {kinds.count(twice)} of type {twice}; give at most one of a kind")
        return self

    def _check_watched(self) -> None:
        data = self.data
        if data.function:
            raise ValueError(
                "the trigger new_data can't see into data.function; use the trigger schedule: without new rows a run "
                "ends early"
            )
        if data.athena:
            raise ValueError(
                "the trigger new_data does not ask Athena, where each check costs money and leaves files; use the "
                "trigger schedule, or set data.path to the table's folder on s3://"
            )
        if data.query and not data.timestamp:
            raise ValueError(
                "the trigger new_data knows the new rows of data.query by data.timestamp; set it, or use the trigger "
                "schedule"
            )

    @property
    def alert_kinds(self) -> tuple[str, ...]:
        """The evidence that starts a run: ``drift``, ``performance``, both or none."""
        return tuple(trigger.type for trigger in self.triggers if trigger.type in ("drift", "performance"))

    @property
    def production_checks(self) -> tuple[str, ...]:
        """What the monitoring checks: ``drift``, and ``performance`` where it is declared."""
        return ("drift", "performance") if self.performance else ("drift",)

    @property
    def needed_extras(self) -> dict[str, str]:
        """The extras of this package that the settings ask for, and what asks for each."""
        datasets = {"data": self.data}
        datasets |= {f"data.feature_tables.{table.name}": table.source for table in self.data.feature_tables}
        if self.validation.skew:
            datasets["validation.skew.data"] = self.validation.skew.data
        if self.performance:
            datasets["performance.labels"] = self.performance.labels
        on_aws = [name for name, data in datasets.items() if data.is_on_aws]
        asked = {"amazon": f"{on_aws[0]} on AWS"} if on_aws else {}
        if self.monitoring.engine == "evidently":
            asked["drift-reports"] = "monitoring.engine: evidently"
        if self.tuning:
            asked["tuning"] = "tuning"
        library = re.split("[.:]", self.training.estimator or "", maxsplit=1)[0]
        if library in EXTRAS and isinstance(self.runner, InProcessRunner):
            asked[library] = f"training.estimator: {self.training.estimator}"
        if self.conversion:
            asked[self.conversion.format] = f"conversion.format: {self.conversion.format}"
        return asked

    @property
    def asks_a_person(self) -> bool:
        """Whether there are promotions that a person has to approve."""
        return self.promotion.needs_approval or self.gate.on_inconclusive == "ask"
