"""New data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

__all__ = ["NewFilesTrigger"]


class NewFilesTrigger(BaseEventTrigger):
    """Fire when files have arrived at a path, or have changed there.

    A file counts once two looks in a row find it unchanged, so that one that is still being written is not
    read. What was handled is remembered in the storage, so a restart of the triggerer fires nothing again.
    Only one within an interval of the event does, so that no event is lost, and the run that follows finds
    that it has nothing new.

    The event's payload is ``{"files": […], "n_files": n}``, with at most 100 names.

    :param path: a file, a folder or a glob.
    :param watermark: the name under which is remembered what was handled.
    :param poll_interval_s: seconds between two looks.
    """

    def __init__(self, *, path: str, watermark: str, poll_interval_s: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.watermark = watermark
        self.poll_interval_s = poll_interval_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it with."""
        settings = {"path": self.path, "watermark": self.watermark, "poll_interval_s": self.poll_interval_s}
        return "airflow_mlops.triggers.data.NewFilesTrigger", settings

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, and give an event for each arrival."""
        from airflow_mlops.adapters.files import file_stamps
        from airflow_mlops.core.data import arrived_files
        from airflow_mlops.hooks.platform import get_watermark

        before: dict[str, str] = {}
        watermark = get_watermark(self.watermark)
        told = False
        while True:
            if told:  # a whole interval ago, by which Airflow has stored the event
                await asyncio.to_thread(watermark.confirm)
                told = False
            now = await asyncio.to_thread(file_stamps, self.path)
            handled = await asyncio.to_thread(watermark.handled)
            arrived = arrived_files(now=now, before=before, handled=handled)
            if arrived:
                await asyncio.to_thread(watermark.announce, {name: now[name] for name in arrived})
                event = {"files": list(arrived[:100]), "n_files": len(arrived)}
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                told = True
            before = now
            await asyncio.sleep(self.poll_interval_s)
