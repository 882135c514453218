"""Monitoring: has the data moved, and is it worth training again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.operators._base import Document, ReportLink, StepOperator, parse_json, parse_moment
from airflow_mlops.specs.evaluate import GateSpec
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.specs.train import TrainingSpec
from airflow_mlops.specs.tune import TuningSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.monitor import DriftReport, RetrainDecision
    from airflow_mlops.core.values import PipelineRun

__all__ = ["DecideRetrainOperator", "DriftCheckOperator"]


class DriftCheckOperator(StepOperator):
    """Compare rows that the champion did not learn from with what it learnt from.

    With a snapshot: its rows that are new since the champion's data. Without one: what the champion was asked and said
    lately, from the inference log. Gives a :class:`~airflow_mlops.core.monitor.DriftReport`; drift is reported and
    fails nothing. See :func:`~airflow_mlops.steps.drift.check_drift` and
    :func:`~airflow_mlops.steps.drift.check_log_drift`.

    :param model_name: whose champion's data is the reference. (templated)
    :param snapshot: what :class:`~airflow_mlops.operators.SnapshotDatasetOperator` gave; ``None``: the inference log.
        (templated)
    :param monitoring: a :class:`~airflow_mlops.specs.MonitoringSpec`, or its settings. (templated)
    :param window_end: the last moment of the inference log that is looked at; by default the one from which on the
        DAG run could run, so that a retry looks at the same rows. (templated)
    """

    template_fields = ("model_name", "snapshot", "monitoring", "window_end", *StepOperator.template_fields)
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        model_name: str,
        snapshot: Document | None = None,
        monitoring: MonitoringSpec | Mapping[str, Any] | None = None,
        window_end: str = "{{ dag_run.run_after }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.snapshot = snapshot
        self.monitoring = monitoring
        self.window_end = window_end

    def call_step(self, run: PipelineRun) -> DriftReport:
        """Check for drift."""
        from airflow_mlops.core.data import DatasetSnapshot
        from airflow_mlops.steps.drift import check_drift, check_log_drift

        monitoring = MonitoringSpec.parse(self.monitoring or {})
        common: dict[str, Any] = {"model_name": self.model_name, "platform": self.platform(), "run": run}
        if self.snapshot:
            return check_drift(DatasetSnapshot.from_dict(self.snapshot), monitoring, **common)
        return check_log_drift(monitoring, window_end=parse_moment(self.window_end, "window_end"), **common)


class DecideRetrainOperator(StepOperator):
    """Decide whether the run trains; if not, skip the rest of it.

    Gives a :class:`~airflow_mlops.core.monitor.RetrainDecision`, which is also in the ledger. See
    :func:`~airflow_mlops.steps.monitor.decide_retrain`.

    :param model_name: the model that the decision is about. (templated)
    :param split: what :class:`~airflow_mlops.operators.SplitDatasetOperator` gave. (templated)
    :param training: a :class:`~airflow_mlops.specs.TrainingSpec`, or its settings. (templated)
    :param hyperparameters: values that replace the spec's, as a mapping or as JSON. (templated)
    :param validation: what :class:`~airflow_mlops.operators.ValidateDataOperator` gave, for the reasons. (templated)
    :param drift: what :class:`DriftCheckOperator` gave, for the reasons. (templated)
    :param gate: a :class:`~airflow_mlops.specs.GateSpec`, or its settings: what another gate rejected is worth
        training again. (templated)
    :param tuning: a :class:`~airflow_mlops.specs.TuningSpec`, or its settings, where a search comes before the
        training. (templated)
    :param force: train in any case; ``true`` or ``false``, also as text. (templated)
    """

    template_fields = (
        "model_name",
        "split",
        "training",
        "hyperparameters",
        "validation",
        "drift",
        "gate",
        "tuning",
        "force",
        *StepOperator.template_fields,
    )

    def __init__(
        self,
        *,
        model_name: str,
        split: Document,
        training: TrainingSpec | Mapping[str, Any],
        hyperparameters: Mapping[str, Any] | str | None = None,
        validation: Document | None = None,
        drift: Document | None = None,
        gate: GateSpec | Mapping[str, Any] | None = None,
        tuning: TuningSpec | Mapping[str, Any] | None = None,
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
        self.gate = gate
        self.tuning = tuning
        self.force = force

    def call_step(self, run: PipelineRun) -> RetrainDecision:
        """Decide."""
        from airflow_mlops.core.monitor import DriftReport
        from airflow_mlops.core.split import DatasetSplit
        from airflow_mlops.core.train import merge_params
        from airflow_mlops.core.tune import keep_chosen
        from airflow_mlops.core.validate import ValidationReport
        from airflow_mlops.steps.monitor import decide_retrain

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
            gate=GateSpec.parse(self.gate) if self.gate else None,
            tuning=tuning,
            force=str(self.force).lower() == "true",
            platform=self.platform(),
            run=run,
        )

    def conclude(self, value: RetrainDecision, context: Context) -> None:
        """Skip the rest on no."""
        if not value.should_retrain:
            self.skip_the_rest(context, str(value))
