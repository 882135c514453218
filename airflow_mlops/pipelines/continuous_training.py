"""Continuous training of one model: the spec, its DAGs, and the same flow in this process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from airflow_mlops.errors import SpecError
from airflow_mlops.pipelines._docs import describe
from airflow_mlops.pipelines._shared import as_written, default_args, parse_yaml
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_mlops.steps.pipeline import PipelineResult

__all__ = ["ContinuousTraining"]

_OWN_PARAMS = ("force", "window_start", "window_end", "promotion")


class ContinuousTraining(PipelineSpec):
    """Continuous training of one model, declared.

    Takes the settings of :class:`~airflow_mlops.specs.PipelineSpec`. :meth:`dag` gives the DAG, :meth:`run`
    does the same in this process.
    """

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read the same settings from a YAML file.

        :raises SpecError: when the file can't be read, or a setting can't be used; the message has its path.
        """
        return parse_yaml(cls, path)

    def dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG. Its id is the model's name.

        The trigger form offers to force a training, to set the data's window, to hold the promotion, and
        every hyperparameter.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow.sdk import DAG, TaskGroup, XComArg

        from airflow_mlops import operators

        settings: dict[str, Any] = {
            "dag_id": self.model_name,
            "schedule": self._schedule(),
            "description": self.description or f"Continuous training of {self.model_name}",
            "doc_md": describe(self),
            "tags": ["mlops", "continuous-training"],
            "catchup": False,
            "max_active_runs": 1,
            "default_args": default_args(mlflow_conn_id, dag_settings.pop("default_args", {})),
        }
        spec = self.model_dump(mode="json")
        training, gate, runner, told = spec["training"], spec["gate"], spec["runner"], spec["notifications"]
        window = {name: f"{{{{ params.{name} or '' }}}}" for name, _, _ in self._window_fields()}
        chosen = ", ".join(f"{name!r}: params[{name!r}]" for name in self.training.params)
        hyperparameters = f"{{{{ {{{chosen}}} | tojson }}}}"

        form = dag_settings.pop("params", self._params())
        with DAG(**(settings | dag_settings)) as dag:
            with TaskGroup("data", prefix_group_id=False, tooltip="Copy the data, check it, part it"):
                snapshot = operators.SnapshotDatasetOperator(
                    task_id="snapshot", dataset=self.model_name, data=spec["data"] | window
                )
                validate = operators.ValidateDataOperator(
                    task_id="validate",
                    snapshot=snapshot.output,
                    validation=as_written(spec["validation"]),
                    model_name=self.model_name,
                )
                trusted = XComArg(validate, key="snapshot")
                split = operators.SplitDatasetOperator(
                    task_id="split",
                    snapshot=trusted,
                    data=spec["data"],
                    split=spec["split"],
                )
                check_leakage = operators.CheckLeakageOperator(
                    task_id="check_leakage",
                    split=split.output,
                    training=training,
                    leakage=spec["split"]["leakage"],
                )
            with TaskGroup("monitoring", prefix_group_id=False, tooltip="Has anything changed?"):
                check_drift = operators.DriftCheckOperator(
                    task_id="check_drift",
                    model_name=self.model_name,
                    snapshot=trusted,
                    monitoring=spec["monitoring"],
                )
                seen: dict[str, Any] = {"drift": check_drift.output}
                if self.performance:
                    check_performance = operators.PerformanceCheckOperator(
                        task_id="check_performance", model_name=self.model_name, performance=spec["performance"]
                    )
                    validate >> check_performance
                    seen["performance"] = check_performance.output
                decide = operators.DecideRetrainOperator(
                    task_id="decide",
                    model_name=self.model_name,
                    split=split.output,
                    training=training,
                    hyperparameters=hyperparameters,
                    validation=validate.output,
                    gate=gate,
                    tuning=spec["tuning"],
                    policy=spec["retraining"],
                    force="{{ params.force }}",
                    **seen,
                )
                check_leakage >> decide
            with TaskGroup("training", prefix_group_id=False, tooltip="Train a challenger, compare it, judge it"):
                learnt = {"model_name": self.model_name, "split": split.output, "training": training}
                params: dict[str, Any] = {"hyperparameters": hyperparameters}
                if self.tuning:
                    tune = operators.TuneModelOperator(task_id="tune", tuning=spec["tuning"], **learnt, **params)
                    params = {"tuning": tune.output}
                    decide >> tune
                train = operators.TrainModelOperator(task_id="train", runner=runner, **learnt, **params)
                made = {"model": train.output, "split": split.output}
                evaluate = operators.EvaluateModelOperator(task_id="evaluate", gate=gate, runner=runner, **made)
                judged: dict[str, Any] = {"model": train.output, "evaluation": evaluate.output}
                if self.serving:
                    serve = operators.ValidateServingOperator(
                        task_id="validate_serving", serving=spec["serving"], on_failure="report", **made
                    )
                    judged["serving"] = serve.output
                bless = operators.BlessModelOperator(task_id="bless", gate=gate, notifications=told, **judged)
                decide >> train
                if self.export:
                    operators.ExportModelOperator(task_id="export", export=spec["export"], **made) >> bless
            with TaskGroup("promotion", prefix_group_id=False, tooltip="Register it, make it champion"):
                register = operators.RegisterModelOperator(
                    task_id="register",
                    model=train.output,
                    blessing=bless.output,
                    description=as_written(self.description),
                )
                candidate = {"version": register.output, "blessing": bless.output, "policy": "{{ params.promotion }}"}
                self._promotion(operators, candidate, told)
        dag.params = form  # not before: every operator would copy the whole form, which is a third of the parse
        return dag

    def _promotion(self, operators: Any, candidate: dict[str, Any], told: Sequence[Mapping[str, Any]]) -> None:
        """Wire what comes between a registered version and its promotion: a person, and a trial on live requests."""
        from airflow_mlops.assets import model_asset

        needs_approval = self.promotion.approval == "required"
        seen: dict[str, Any] = {}
        if self.asks_a_person:
            approve = operators.ApprovePromotionOperator(
                task_id="approve",
                only_undecided=not needs_approval,
                approvers=self.promotion.approvers,
                response_timeout=self.promotion.approval_timeout,
                notifications=told,
                **candidate,
            )
            seen = {"approval": approve.output, "needs_approval": needs_approval}
        if self.rollout:
            rollout = self.rollout.model_dump(mode="json")
            deploy = operators.DeployModelOperator(task_id="deploy", rollout=rollout, **candidate, **seen)
            analyse = operators.CanaryAnalysisOperator(
                task_id="analyse_canary",
                deployment=deploy.output,
                version=candidate["version"],
                rollout=rollout,
                performance=self.performance and self.performance.model_dump(mode="json"),
                notifications=told,
            )
            seen["canary"] = analyse.output
        operators.PromoteModelOperator(
            task_id="promote", outlets=[model_asset(self.model_name)], notifications=told, **candidate, **seen
        )

    def rollback_dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG by which a person goes back to an earlier champion. Its id ends in ``_rollback``.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow.sdk import DAG, Param

        from airflow_mlops import operators
        from airflow_mlops.assets import model_asset

        settings: dict[str, Any] = {
            "dag_id": f"{self.model_name}_rollback",
            "schedule": None,
            "description": f"Go back to an earlier champion of {self.model_name}",
            "doc_md": f"Makes the last healthy version of **{self.model_name}** champion again. The version that is "
            "rolled back from does not return by itself. The journal keeps the reason.",
            "params": {
                "reason": Param(type="string", minLength=3, title="Reason", description="The journal keeps it."),
                "from_version": Param(
                    None,
                    type=["null", "integer"],
                    title="From version",
                    description="The champion that is to go: nothing happens if it is another one by now. Empty: any.",
                ),
                "to_version": Param(
                    None,
                    type=["null", "integer"],
                    title="To version",
                    description="A version that was champion before. Empty: the last healthy one.",
                ),
            },
            "tags": ["mlops", "rollback"],
            "catchup": False,
            "max_active_runs": 1,
            "default_args": default_args(mlflow_conn_id, dag_settings.pop("default_args", {})),
        }
        with DAG(**(settings | dag_settings)) as dag:
            operators.RollbackModelOperator(
                task_id="rollback",
                model_name=self.model_name,
                reason="{{ params.reason }}",
                from_version="{{ params.from_version or '' }}",
                to_version="{{ params.to_version or '' }}",
                notifications=self.notifications,
                outlets=[model_asset(self.model_name)],
            )
        return dag

    def run(
        self,
        *,
        storage_root: str | os.PathLike[str],
        tracking_uri: str,
        journal_root: str = "",
        journal_conn_id: str = "",
        force: bool = False,
        params: Mapping[str, Any] | None = None,
        window_start: datetime | str | None = None,
        window_end: datetime | str | None = None,
        promotion: Literal["automatic", "hold"] | None = None,
        run_id: str | None = None,
        trusted_types: tuple[str, ...] = (),
    ) -> PipelineResult:
        """Do what the DAG does, in this process and without Airflow: in a notebook, in a test.

        :param storage_root: an absolute folder for snapshots, reports and journals.
        :param tracking_uri: MLflow's, such as ``http://localhost:5000`` or ``sqlite:////path/mlflow.db``.
        :param journal_root: where journals and ledgers are kept, if not in the storage root.
        :param journal_conn_id: the connection of type ``aws`` to reach it with, where it is on S3.
        :param force: train even if nothing changed.
        :param params: hyperparameters that replace the spec's.
        :param window_start: first moment that belongs, in place of the spec's.
        :param window_end: first moment that does not, in place of the spec's.
        :param promotion: in place of the spec's policy.
        :param run_id: names the run in every record; the same one again finds what was finished.
        :param trusted_types: types that models may hold beside scikit-learn's own.
        :raises DataHaltedError: when the validation halts.
        """
        from airflow_mlops.adapters.mlflow import Mlflow
        from airflow_mlops.core.values import PipelineRun
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.hooks.storage import open_storage
        from airflow_mlops.steps import Platform
        from airflow_mlops.steps.pipeline import run_pipeline

        settings = self.model_dump()
        window = {"window_start": window_start, "window_end": window_end}
        settings["data"] |= {name: moment for name, moment in window.items() if moment is not None}
        settings["promotion"] |= {"policy": promotion} if promotion else {}
        spec = PipelineSpec.parse(settings)
        run = PipelineRun(pipeline=self.model_name, run_id=run_id or f"local__{uuid.uuid4().hex[:12]}")
        storage = open_storage(os.fspath(storage_root), journal_root, journal_conn_id)
        platform = Platform(storage, Mlflow(tracking_uri), trusted_types)
        return run_pipeline(
            spec, platform=platform, run=run, connections=AirflowConnections(), force=force, params=params
        )

    def _schedule(self) -> Any:
        """Return what starts the DAG; ``None`` when only a person does."""
        from airflow.sdk import AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

        timetable, assets = None, []
        for trigger in self.triggers:
            if trigger.type == "schedule":
                timetable = CronTriggerTimetable(trigger.cron, timezone="UTC")
            else:
                from airflow_mlops.pipelines._assets import WatchedAsset
                from airflow_mlops.triggers.data import NewFilesTrigger

                name = f"{self.model_name}_data"
                watch = NewFilesTrigger(
                    path=self.data.path or "", watermark=name, poll_interval_s=trigger.poll_interval_s
                )
                assets.append(WatchedAsset(name, watchers=[AssetWatcher(name=f"{name}_watcher", trigger=watch)]))
        if timetable and assets:
            return AssetOrTimeSchedule(timetable=timetable, assets=assets)
        return timetable or assets or None

    def _window_fields(self) -> list[tuple[str, str, datetime | None]]:
        """Return the fields of the trigger form that set the window: name, title, value."""
        data, fields = self.data, []
        if data.timestamp and not data.trailing and not data.since_last_snapshot:
            fields.append(("window_start", "From", data.window_start))
        if data.timestamp:
            fields.append(("window_end", "Until, exclusive", data.window_end))
        return fields

    def _params(self) -> dict[str, Any]:
        """Return the trigger form."""
        from airflow.sdk import Param

        taken = [name for name in self.training.params if name in _OWN_PARAMS]
        if taken:
            raise SpecError(f"training.params: {taken} are names of the trigger form's own fields. Rename them.")
        form: dict[str, Any] = {
            "force": Param(False, type="boolean", title="Force", description="Train even if nothing has changed."),
            "promotion": Param(
                self.promotion.policy,
                type="string",
                enum=["automatic", "hold"],
                title="Promotion",
                description="Make a blessed version champion, or only register it.",
            ),
        }
        for name, title, moment in self._window_fields():
            form[name] = Param(
                moment.replace(tzinfo=moment.tzinfo or UTC).isoformat() if moment else None,
                type=["null", "string"],
                format="date-time",
                title=title,
                section="Data",
            )
        for name, value in self.training.params.items():
            form[name] = Param(value, type=_json_type(value), title=name, section="Hyperparameters")
        return form


def _json_type(value: Any) -> str | list[str]:
    """Return the JSON Schema type that a form field for this value needs."""
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (Mapping, "object"),
        (list | tuple, "array"),
    ):
        if isinstance(value, kind):
            return name
    return ["null", "string", "number"]
