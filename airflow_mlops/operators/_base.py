"""What every operator shares: one step, one result, and what a failure means to Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from airflow.sdk import BaseOperator, BaseOperatorLink, SkipMixin

from airflow_mlops.errors import SpecError, UnavailableError
from airflow_mlops.hooks.mlflow import MlflowHook
from airflow_mlops.hooks.platform import get_platform, report_url
from airflow_mlops.hooks.tasks import failures_for_airflow, pipeline_run
from airflow_mlops.hooks.telemetry import send_telemetry

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, XComArg

    from airflow_mlops.core.observability.telemetry import Measurement
    from airflow_mlops.core.values import PipelineRun, Value
    from airflow_mlops.specs.runner import RunnerSpec
    from airflow_mlops.steps import Platform

Document: TypeAlias = "Mapping[str, Any] | XComArg"
"""What another task gave: its ``output``, or the JSON document itself."""

Runner: TypeAlias = "RunnerSpec | Mapping[str, Any]"
"""Where a step runs, or its settings."""

V = TypeVar("V", bound="Value")

__all__ = [
    "Document",
    "MlflowLink",
    "ReportLink",
    "Runner",
    "StepOperator",
    "parse_json",
    "parse_time",
    "pipeline_run",
]


class ReportLink(BaseOperatorLink):
    """The page that says what the step found."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return what the operator left when it ran; this is called in the task, when it ends."""
        return getattr(operator, "report_link", "")


class MlflowLink(BaseOperatorLink):
    """The run or the version in MLflow."""

    name = "MLflow"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return what the operator left when it ran; this is called in the task, when it ends."""
        return getattr(operator, "mlflow_link", "")


class _Connected:
    """Takes the connection to MLflow, also from ``default_args``.

    Airflow merges the defaults of DAG and task group anew for each operator class that has an ``__init__``, which is
    most of what building a DAG costs. This one is no operator.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    """Parameters of earlier versions, and what they are called now; the old name is refused with the new one."""

    def __init__(self, *, mlflow_conn_id: str | None = None, **kwargs: Any) -> None:
        for old in self.renamed.keys() & kwargs.keys():
            raise TypeError(f"{type(self).__name__}: {old} is called {self.renamed[old]} now.")
        super().__init__(**kwargs)
        defaults = kwargs.get("default_args") or {}
        self.mlflow_conn_id = mlflow_conn_id or defaults.get("mlflow_conn_id", MlflowHook.default_conn_name)


class StepOperator(_Connected, BaseOperator, SkipMixin):
    """Run one step of the flow.

    A subclass gives :meth:`call_step`, and :meth:`conclude` where the result may end the run. The result
    is the task's XCom, as a small JSON document; data stays in the storage. An outage fails the task such
    that Airflow retries it; everything else that this package refuses fails it for good.

    :param mlflow_conn_id: the Airflow connection to MLflow.
    """

    template_fields: tuple[str, ...] = ("mlflow_conn_id",)
    ui_color = "#e3edf7"
    _value: Value | None = None

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Call the step, leave its links and its result, and conclude."""
        with failures_for_airflow():
            value = self.call_step(pipeline_run(context))
            return None if value is None else self.leave(value, context)

    def leave(self, value: Value, context: Context) -> dict[str, Any]:
        """Leave the links and the result, conclude, and send what the result is in numbers."""
        self._value = value
        self.report_link = report_url(getattr(value, "report_uri", ""))
        self.mlflow_link = getattr(value, "run_url", "") or getattr(value, "url", "")
        document, is_tried_again = value.to_dict(), False
        try:
            self.conclude(value, context)
        except Exception as error:  # to skip the rest is an exception too
            context["ti"].xcom_push(key="return_value", value=document)
            is_tried_again = isinstance(error, UnavailableError)
            raise
        finally:  # also when the task goes to sleep until its next check
            if not is_tried_again:
                send_telemetry(lambda: self.measure(value))
        return document

    def measure(self, value: Any) -> Sequence[Measurement]:
        """Return what the result is in numbers; called only where Airflow sends metrics."""
        from airflow_mlops.core.observability.measurements import measure

        return measure(value, given=self.given(), now=datetime.now(UTC))

    def given(self) -> list[Value]:
        """Return the data and the models that the task was given."""
        from airflow_mlops.core.observability.given import read_given

        return read_given(getattr(self, name) for name in self.template_fields)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return what was read and written; Airflow's OpenLineage provider calls this, also when the task failed."""
        from airflow_mlops.hooks.openlineage import operator_lineage

        return operator_lineage(self._value, given=self.given(), inlets=self.inlets, outlets=self.outlets)

    def call_step(self, run: PipelineRun) -> Value | None:
        """Build what the step needs and call it."""
        raise NotImplementedError

    def conclude(self, value: Any, context: Context) -> None:
        """Raise to end the run with a failure, or skip what comes after; by default go on."""

    def run_step(
        self, step: str, returns: type[V], *, runner: Runner | None, run: PipelineRun, **arguments: object
    ) -> V:
        """Call a step here, or where the runner says. See :func:`~airflow_mlops.steps.runner.run_step`."""
        from airflow_mlops.specs.runner import parse_runner
        from airflow_mlops.steps.runner import run_step

        return run_step(step, returns, runner=parse_runner(runner), platform=self.platform(), run=run, **arguments)

    def on_kill(self) -> None:
        """End the process that the step runs in, where that is another than the task's."""
        from airflow_mlops.adapters.process.child_process import end_children

        end_children()

    def platform(self) -> Platform:
        """Return storage and tracking server, having seen that the server answers."""
        return get_platform(self.mlflow_conn_id)

    def skip_the_rest(self, context: Context, reason: str) -> None:
        """Skip every task after this one: a normal end of the run."""
        self.log.info("Nothing more to do in this run. %s", reason)
        rest = [task for task in self.get_flat_relatives(upstream=False) if not task.is_teardown]
        if rest:
            self.skip(ti=context["ti"], tasks=rest)


def parse_json(setting: Mapping[str, Any] | str | None, name: str) -> dict[str, Any]:
    """Return a mapping that was given as such, or as the JSON text that a template gives.

    :raises SpecError: when it is neither.
    """
    if setting is None or isinstance(setting, Mapping):
        return dict(setting or {})
    try:
        found = json.loads(setting or "{}")
    except ValueError as error:
        raise SpecError(f"{name}: expected a JSON object, found {setting!r}: {error}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{name}: expected a JSON object, found {setting!r}")
    return found


def parse_time(setting: str, name: str) -> datetime:
    """Return the time that a template gave as text; without a time zone it is in UTC.

    :raises SpecError: when it is none.
    """
    try:
        moment = datetime.fromisoformat(str(setting))
    except ValueError as error:
        raise SpecError(f"{name}: expected a time such as 2026-01-31T12:00:00+00:00, found {setting!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
