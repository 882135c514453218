"""New data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_mlops.hooks.platform import get_watermark
from airflow_mlops.triggers.data import NewFilesTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["NewDataSensor"]


class NewDataSensor(BaseSensorOperator):
    """Wait in the triggerer until files have arrived at a path.

    Gives ``{"files": […], "n_files": n}``. To start a DAG by new data instead of waiting inside one, use the
    ``new_data`` trigger of :class:`~airflow_mlops.ContinuousTraining`.

    :param path: a file, a folder or a glob. (templated)
    :param watermark: the name under which is remembered which files were there already; by default the
        DAG's and the task's id. (templated)
    :param poke_interval: seconds between two looks. A file counts once it has not changed between two.
    """

    template_fields = ("path", "watermark")

    def __init__(
        self,
        *,
        path: str,
        watermark: str = "{{ ti.dag_id }}.{{ ti.task_id }}",
        poke_interval: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.path = path
        self.watermark = watermark

    def execute(self, context: Context) -> None:
        """Hand the waiting over to the triggerer."""
        trigger = NewFilesTrigger(path=self.path, watermark=self.watermark, poll_interval_s=self.poke_interval)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Note that this task has it, and return what arrived."""
        get_watermark(self.watermark).confirm()
        self.log.info("new data: n_files=%d", event["n_files"])
        return dict(event)
