"""New data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.triggers.data import NewFilesTrigger, NewRowsTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["NewDataSensor"]


class NewDataSensor(BaseSensorOperator):
    """Wait in the triggerer until files have arrived at a path, or rows in a query's result.

    Gives ``{"files": […], "n_files": n}`` or ``{"n_rows": n, "until": moment}``; see
    :class:`~airflow_mlops.triggers.data.NewFilesTrigger` and :class:`~airflow_mlops.triggers.data.NewRowsTrigger` for
    what counts as new. It fails at once where somebody has to fix something first. To start a DAG by new data instead
    of waiting inside one, use the ``new_data`` trigger of :class:`~airflow_mlops.ContinuousTraining`.

    :param path: a file, a folder or a glob, local or on ``s3://``. (templated)
    :param query: in place of a path, a ``SELECT``. (templated)
    :param timestamp: the column of times in the query's result. (templated)
    :param conn_id: the Airflow connection: of type ``aws`` for ``s3://``, the database's for a query. (templated)
    :param recursive: whether a folder stands for what is in its folders too.
    :param watermark: the name under which is remembered what was there already; by default the
        DAG's and the task's id. (templated)
    :param poke_interval: seconds between two checks, give or take 15 %.
    """

    template_fields = ("path", "query", "timestamp", "conn_id", "watermark")

    def __init__(
        self,
        *,
        path: str | None = None,
        query: str | None = None,
        timestamp: str | None = None,
        conn_id: str | None = None,
        recursive: bool = False,
        watermark: str = "{{ ti.dag_id }}.{{ ti.task_id }}",
        poke_interval: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.path = path
        self.query = query
        self.timestamp = timestamp
        self.conn_id = conn_id
        self.recursive = recursive
        self.watermark = watermark

    def execute(self, context: Context) -> None:
        """Hand the waiting over to the triggerer."""
        self.defer(trigger=self._trigger(), method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Note that this task has it, and return what arrived."""
        if "problem" in event:  # not noted: a retry of this task is to be told again
            raise AirflowFailException(event["problem"])
        get_watermark(self.watermark).confirm()
        self.log.info("new data: %s", " ".join(f"{name}={event[name]}" for name in event if name != "files"))
        return dict(event)

    def _trigger(self) -> NewFilesTrigger | NewRowsTrigger:
        seen: dict[str, Any] = {"watermark": self.watermark, "poll_interval_s": self.poke_interval}
        if self.query and self.timestamp and self.conn_id and not self.path:
            return NewRowsTrigger(query=self.query, timestamp=self.timestamp, conn_id=self.conn_id, **seen)
        if self.path and not self.query:
            return NewFilesTrigger(path=self.path, conn_id=self.conn_id, recursive=self.recursive, **seen)
        raise AirflowFailException(
            f"{self.task_id}: give either `path`, or `query` with `timestamp` and `conn_id`. Nothing is watched."
        )
