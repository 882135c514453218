"""Another champion."""

from __future__ import annotations

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
    :param poll_interval_s: seconds between two checks, give or take 15 %, so that many do not look at once.
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
        self._state: tuple[int, bool] | None = None
        self._champion: int | None = None

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
        from airflow_mlops.core.registry.descriptions import is_awaited
        from airflow_mlops.triggers._looks import looks

        async for champion in looks(self._look, every_s=self.poll_interval_s, subject=f"model_name={self.model_name}"):
            if is_awaited(champion, other_than=self.other_than, at_least=self.at_least):
                yield TriggerEvent(champion)  # type: ignore[no-untyped-call]
                return

    def _look(self) -> int | None:
        from airflow_mlops.hooks.platform import get_storage
        from airflow_mlops.steps.registry.journal import champion_version_of, journal_state

        storage = get_storage()
        state = journal_state(self.model_name, storage=storage)
        if state != self._state:  # entries never change, so most looks need to read none
            self._champion = champion_version_of(self.model_name, storage=storage)
            self._state = state
        return self._champion
