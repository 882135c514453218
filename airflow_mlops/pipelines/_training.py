"""The DAG that trains: from the data to the champion, in four groups of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.pipelines._docs import describe
from airflow_mlops.pipelines._form import trigger_form, window_fields
from airflow_mlops.pipelines._schedule import schedule_of
from airflow_mlops.pipelines._shared import as_written, dag_arguments
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["build_training_dag"]


def build_training_dag(spec: PipelineSpec, mlflow_conn_id: str, dag_settings: Mapping[str, Any]) -> DAG:
    """Return the DAG, with a form for a person who triggers it."""
    from airflow.sdk import DAG, TaskGroup

    settings = dag_arguments(
        mlflow_conn_id,
        dag_settings,
        dag_id=spec.model_name,
        schedule=schedule_of(spec),
        description=spec.description or f"Continuous training of {spec.model_name}",
        doc_md=describe(spec),
        tags=["mlops", "continuous-training"],
    )
    form: Any = settings.pop("params", None) or trigger_form(spec)
    wiring = _Wiring(spec)
    groups = {
        "data": "Copy the data, check it, part it",
        "monitoring": "Has anything changed?",
        "training": "Train a challenger, compare it, judge it",
        "promotion": "Register it, make it champion",
    }
    with DAG(**settings) as dag:
        for name, tooltip in groups.items():
            with TaskGroup(name, prefix_group_id=False, tooltip=tooltip):
                getattr(wiring, name)()
    dag.params = form  # not before: every operator would copy the whole form, which is a third of the parse
    return dag


class _Wiring:
    """Wires the tasks, one group after the other; each finds what those before it made in ``tasks``."""

    def __init__(self, spec: PipelineSpec) -> None:
        from airflow_mlops import operators

        self.spec = spec
        self.settings = spec.model_dump(mode="json")
        self.operators = operators
        self.tasks: dict[str, Any] = {}
        chosen = ", ".join(f"{name!r}: params[{name!r}]" for name in spec.training.params)
        self.hyperparameters = f"{{{{ {{{chosen}}} | tojson }}}}"

    def data(self) -> None:
        """Copy the data, check it, part it."""
        from airflow.sdk import XComArg

        spec, operators = self.settings, self.operators
        window = {name: f"{{{{ params.{name} or '' }}}}" for name, _, _ in window_fields(self.spec)}
        snapshot = operators.SnapshotDatasetOperator(
            task_id="snapshot",
            dataset=self.spec.model_name,
            data=spec["data"] | window,
            extras=self.spec.needed_extras,
        )
        validate = operators.ValidateDataOperator(
            task_id="validate",
            snapshot=snapshot.output,
            validation=as_written(spec["validation"]),
            model_name=self.spec.model_name,
        )
        trusted = XComArg(validate, key="snapshot")
        split = operators.SplitDatasetOperator(
            task_id="split", snapshot=trusted, data=spec["data"], split=spec["split"]
        )
        check_leakage = operators.CheckLeakageOperator(
            task_id="check_leakage", split=split.output, training=spec["training"], leakage=spec["split"]["leakage"]
        )
        self.tasks |= {"validate": validate, "trusted": trusted, "split": split, "check_leakage": check_leakage}

    def monitoring(self) -> None:
        """Find out whether anything has changed, and decide."""
        spec, operators, tasks, name = self.settings, self.operators, self.tasks, self.spec.model_name
        check_drift = operators.DriftCheckOperator(
            task_id="check_drift", model_name=name, snapshot=tasks["trusted"], monitoring=spec["monitoring"]
        )
        seen: dict[str, Any] = {"drift": check_drift.output}
        if self.spec.performance:
            check_performance = operators.PerformanceCheckOperator(
                task_id="check_performance", model_name=name, performance=spec["performance"]
            )
            tasks["validate"] >> check_performance
            seen["performance"] = check_performance.output
        tasks["decide"] = operators.DecideRetrainOperator(
            task_id="decide",
            model_name=name,
            split=tasks["split"].output,
            training=spec["training"],
            hyperparameters=self.hyperparameters,
            validation=tasks["validate"].output,
            gate=spec["gate"],
            tuning=spec["tuning"],
            policy=spec["retraining"],
            force="{{ params.force }}",
            **seen,
        )
        tasks["check_leakage"] >> tasks["decide"]

    def training(self) -> None:
        """Train a challenger, compare it, judge it."""
        spec, operators, tasks = self.settings, self.operators, self.tasks
        gate, runner, split = spec["gate"], spec["runner"], tasks["split"].output
        learnt = {"model_name": self.spec.model_name, "split": split, "training": spec["training"]}
        params: dict[str, Any] = {"hyperparameters": self.hyperparameters}
        if self.spec.tuning:
            tune = operators.TuneModelOperator(task_id="tune", tuning=spec["tuning"], **learnt, **params)
            params = {"tuning": tune.output}
            tasks["decide"] >> tune
        train = operators.TrainModelOperator(task_id="train", runner=runner, **learnt, **params)
        made = {"model": train.output, "split": split}
        evaluate = operators.EvaluateModelOperator(task_id="evaluate", gate=gate, runner=runner, **made)
        judged: dict[str, Any] = {"model": train.output, "evaluation": evaluate.output}
        if self.spec.serving:
            serve = operators.ValidateServingOperator(
                task_id="validate_serving", serving=spec["serving"], on_failure="report", **made
            )
            judged["serving"] = serve.output
        bless = operators.BlessModelOperator(task_id="bless", gate=gate, notifications=spec["notifications"], **judged)
        tasks["decide"] >> train
        if self.spec.export:
            operators.ExportModelOperator(task_id="export", export=spec["export"], **made) >> bless
        tasks |= {"train": train, "bless": bless}

    def promotion(self) -> None:
        """Register it; a person, and a trial on live requests, may come before it is champion."""
        from airflow_mlops.assets import model_asset

        operators, tasks, told = self.operators, self.tasks, self.settings["notifications"]
        register = operators.RegisterModelOperator(
            task_id="register",
            model=tasks["train"].output,
            blessing=tasks["bless"].output,
            description=as_written(self.spec.description),
        )
        candidate = {
            "version": register.output,
            "blessing": tasks["bless"].output,
            "policy": "{{ params.promotion }}",
        }
        seen: dict[str, Any] = self._approval(candidate)
        seen |= self._rollout(candidate, seen)
        operators.PromoteModelOperator(
            task_id="promote", outlets=[model_asset(self.spec.model_name)], notifications=told, **candidate, **seen
        )

    def _approval(self, candidate: Mapping[str, Any]) -> dict[str, Any]:
        if not self.spec.asks_a_person:
            return {}
        needs_approval = self.spec.promotion.approval == "required"
        approve = self.operators.ApprovePromotionOperator(
            task_id="approve",
            only_undecided=not needs_approval,
            approvers=self.spec.promotion.approvers,
            response_timeout=self.spec.promotion.approval_timeout,
            notifications=self.settings["notifications"],
            **candidate,
        )
        return {"approval": approve.output, "needs_approval": needs_approval}

    def _rollout(self, candidate: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
        if not self.spec.rollout:
            return {}
        rollout = self.settings["rollout"]
        deploy = self.operators.DeployModelOperator(task_id="deploy", rollout=rollout, **candidate, **seen)
        analyse = self.operators.CanaryAnalysisOperator(
            task_id="analyse_canary",
            deployment=deploy.output,
            version=candidate["version"],
            rollout=rollout,
            performance=self.settings["performance"],
            notifications=self.settings["notifications"],
        )
        return {"canary": analyse.output}
