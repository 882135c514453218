"""New rows in a model's inference log."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["LoggedRowsTrigger"]


class LoggedRowsTrigger(BaseTrigger):
    """Fire when enough rows have come into a model's inference log.

    Only the footers of files that are new are read, each of them once. A storage that does not answer is asked again.
    The event's payload is ``{"n_rows": n, "seen_until": seconds, "deadline": seconds}``.

    :param model_name: whose log.
    :param min_rows: how many rows are enough.
    :param trailing_s: how far back rows still count, in seconds.
    :param deadline: of whoever waits, which the event gives back, in seconds since 1970.
    :param seen_until: rows of files that were written by then do not count, in seconds since 1970.
    :param poll_interval_s: seconds between two checks, give or take 15 %.
    """

    def __init__(
        self,
        *,
        model_name: str,
        min_rows: int,
        trailing_s: float,
        deadline: float,
        seen_until: float = 0.0,
        poll_interval_s: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model_name = model_name
        self.min_rows = min_rows
        self.trailing_s = trailing_s
        self.deadline = deadline
        self.seen_until = seen_until
        self.poll_interval_s = poll_interval_s
        self._known: dict[str, tuple[float, int]] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it with."""
        settings = {
            "model_name": self.model_name,
            "min_rows": self.min_rows,
            "trailing_s": self.trailing_s,
            "deadline": self.deadline,
            "seen_until": self.seen_until,
            "poll_interval_s": self.poll_interval_s,
        }
        return "airflow_mlops.triggers.monitor.LoggedRowsTrigger", settings

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again until there are enough."""
        from airflow_mlops.triggers._looks import looks

        subject = f"model_name={self.model_name}"
        async for now, n_rows in looks(self._look, every_s=self.poll_interval_s, subject=subject):
            if n_rows >= self.min_rows:
                event = {"n_rows": n_rows, "seen_until": now, "deadline": self.deadline}
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                return

    def _look(self) -> tuple[float, int]:
        from airflow_mlops.adapters.storage.inference_window import count_new_rows, files_of_window
        from airflow_mlops.hooks.platform import get_storage
        from airflow_mlops.steps.platform import inference_folder

        now = time.time()
        folder = inference_folder(self.model_name, storage=get_storage())
        start, end = (datetime.fromtimestamp(moment, UTC) for moment in (now - self.trailing_s, now))
        files = files_of_window(folder, start, end)
        return now, count_new_rows(files, since=self.seen_until, known=self._known)
