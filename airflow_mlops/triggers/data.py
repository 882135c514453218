"""New data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from airflow_mlops.steps.data.watch import DataWatch, WatchedSource

__all__ = ["NewFilesTrigger", "NewRowsTrigger"]


class _NewDataTrigger(BaseEventTrigger):
    """Fires when a source has something that nobody was notified of: for a task once, to start a DAG for ever."""

    watermark: str
    poll_interval_s: float
    _watch: DataWatch | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, and give an event for each arrival; the first one only, if a task waits for it."""
        from airflow_mlops.triggers._looks import looks

        async for event in looks(self._look, every_s=self.poll_interval_s, subject=f"watermark={self.watermark}"):
            if event:
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                if self.task_instance:  # it goes on with this event; nobody would be told of another one
                    return

    def _look(self) -> dict[str, Any] | None:
        from airflow_mlops.hooks.platform import get_watermark
        from airflow_mlops.steps.data.watch import DataWatch

        if self._watch is None:  # in a thread, because the storage may need a connection
            self._watch = DataWatch(self._source(), get_watermark(self.watermark))
        return self._watch.look()

    @abstractmethod
    def _source(self) -> WatchedSource:
        """Return what is looked at."""


class NewFilesTrigger(_NewDataTrigger):
    """Fire when files have arrived at a path, or have changed there.

    A local file counts once two checks in a row find it unchanged, so that one that is still being written is not
    read. On S3 an object is there whole, so one look is enough; it has changed when its ETag or its size has. What was
    handled is remembered in the storage, so a restart of the triggerer fires nothing again. Only one within an
    interval of the event, or half a minute, does, so that no event is lost, and the run that follows finds that it
    has nothing new. Where a task waits, there is one event.

    Where path or storage can't be reached, the next check goes on. The event's payload is
    ``{"files": […], "n_files": n}``, with at most 100 names, or ``{"problem": text}``, once, where somebody has to fix
    something first, such as the bucket's name.

    :param path: a file, a folder or a glob, local or on ``s3://``.
    :param watermark: the name under which is remembered what was handled.
    :param conn_id: the Airflow connection of type ``aws`` for ``s3://``; ``None``: ``aws_default``.
    :param recursive: whether a folder stands for what is in its folders too.
    :param poll_interval_s: seconds between two checks, give or take 15 %.
    """

    def __init__(
        self,
        *,
        path: str,
        watermark: str,
        conn_id: str | None = None,
        recursive: bool = False,
        poll_interval_s: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.watermark = watermark
        self.conn_id = conn_id
        self.recursive = recursive
        self.poll_interval_s = poll_interval_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it with."""
        settings = {
            "path": self.path,
            "watermark": self.watermark,
            "conn_id": self.conn_id,
            "recursive": self.recursive,
            "poll_interval_s": self.poll_interval_s,
        }
        return "airflow_mlops.triggers.data.NewFilesTrigger", settings

    def _source(self) -> WatchedSource:
        from airflow_mlops.hooks.watch import LocalFiles, S3Objects

        if self.path.startswith("s3://"):
            fresh_s = self.poll_interval_s / 2
            return S3Objects(self.path, self.conn_id, recursive=self.recursive, fresh_s=fresh_s)
        return LocalFiles(self.path, recursive=self.recursive)


class NewRowsTrigger(_NewDataTrigger):
    """Fire when a query has rows that are later than all before.

    The database computes the latest timestamp and how many rows have it, of those from the last one on; an index on the
    timestamp is used. A row with an earlier timestamp starts nothing, and a time in the future counts once it has
    come. What was told is remembered in the storage; see :class:`NewFilesTrigger` for restarts, outages and mistakes.

    The event's payload is ``{"n_rows": n, "until": moment}``: how many rows are new, and the latest timestamp.

    :param query: a ``SELECT``.
    :param timestamp: the column of times; without a time zone they are in UTC.
    :param conn_id: the Airflow connection to the database.
    :param watermark: the name under which is remembered what was told.
    :param poll_interval_s: seconds between two checks, give or take 15 %.
    """

    def __init__(
        self, *, query: str, timestamp: str, conn_id: str, watermark: str, poll_interval_s: float = 60.0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.query = query
        self.timestamp = timestamp
        self.conn_id = conn_id
        self.watermark = watermark
        self.poll_interval_s = poll_interval_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what to build it with."""
        settings = {
            "query": self.query,
            "timestamp": self.timestamp,
            "conn_id": self.conn_id,
            "watermark": self.watermark,
            "poll_interval_s": self.poll_interval_s,
        }
        return "airflow_mlops.triggers.data.NewRowsTrigger", settings

    def _source(self) -> WatchedSource:
        from airflow_mlops.hooks.watch import SqlRows

        return SqlRows(self.query, timestamp=self.timestamp, conn_id=self.conn_id, fresh_s=self.poll_interval_s / 2)
