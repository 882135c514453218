"""Another champion."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlops.triggers.model import ModelVersionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ModelVersionSensor"]


class ModelVersionSensor(BaseSensorOperator):
    """Wait in the triggerer until the champion of a model is another one than a version, or at least one.

    Gives the version. With neither ``other_than`` nor ``at_least`` it waits for the first champion. To start a DAG by a
    new champion instead of waiting inside one, schedule it on :func:`~airflow_mlops.assets.model_asset`.

    :param model_name: the registered model. (templated)
    :param other_than: a version that the champion must not be, also as text; empty: any. (templated)
    :param at_least: the lowest version that it may be, also as text; empty: any. (templated)
    :param poke_interval: seconds between two checks, give or take 15 %.
    """

    template_fields = ("model_name", "other_than", "at_least")

    def __init__(
        self,
        *,
        model_name: str,
        other_than: int | str | None = None,
        at_least: int | str | None = None,
        poke_interval: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.model_name = model_name
        self.other_than = other_than
        self.at_least = at_least

    def execute(self, context: Context) -> None:
        """Hand the waiting over to the triggerer."""
        trigger = ModelVersionTrigger(
            model_name=self.model_name,
            other_than=self._version("other_than", self.other_than),
            at_least=self._version("at_least", self.at_least),
            poll_interval_s=self.poke_interval,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Context, event: int) -> int:
        """Return the version that serves."""
        self.log.info("champion: model_name=%s model_version=%d", self.model_name, event)
        return event

    def _version(self, name: str, setting: int | str | None) -> int | None:
        from airflow_mlops.errors import SpecError
        from airflow_mlops.specs.promote import version_number

        try:
            return version_number(name, setting)
        except SpecError as error:
            raise AirflowFailException(str(error)) from error
