"""Another champion."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["ModelVersionTrigger"]


class ModelVersionTrigger(BaseTrigger):
    """Fire once the champion of a model is one that is waited for.

    Who serves is read from the journal, once its last entry has been carried out: nothing of MLflow is needed in the
    triggerer. A storage that does not answer is asked again.

    The event's payload is the version.

    :param model_name: the registered model.
    :param other_than: a version that the champion must not be.
    :param at_least: the lowest version that it may be.
    :param poll_interval_s: seconds between two looks, give or take a fifth, so that many do not look at once.
    """

    def __init__(
        self,
        *,
        model_name: str,
        other_than: int | None = None,
        at_least: int | None = None,
        poll_interval_s: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model_name = model_name
        self.other_than = other_than
        self.at_least = at_least
        self.poll_interval_s = poll_interval_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it with."""
        settings = {
            "model_name": self.model_name,
            "other_than": self.other_than,
            "at_least": self.at_least,
            "poll_interval_s": self.poll_interval_s,
        }
        return "airflow_mlops.triggers.model.ModelVersionTrigger", settings

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, and give one event."""
        from airflow_mlops.core.registry import is_awaited
        from airflow_mlops.errors import UnavailableError

        while True:
            try:
                champion = await asyncio.to_thread(self._look)
            except UnavailableError as error:
                self.log.warning("looked in vain: model_name=%s error=%s", self.model_name, error)
            else:
                if is_awaited(champion, other_than=self.other_than, at_least=self.at_least):
                    yield TriggerEvent(champion)  # type: ignore[no-untyped-call]
                    return
            await asyncio.sleep(self.poll_interval_s * random.uniform(0.8, 1.2))  # noqa: S311  # no secret is made of it

    def _look(self) -> int | None:
        from airflow_mlops.hooks.platform import get_storage
        from airflow_mlops.steps.journal import serving_version

        return serving_version(self.model_name, storage=get_storage())
