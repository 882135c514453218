"""Sources as the triggerer looks at them: one look at a time for each connection, and one for all who want the same."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_mlops.errors import UnavailableError

if TYPE_CHECKING:
    from airflow_mlops.steps.data.watch import News

__all__ = ["LocalFiles", "S3Objects", "SqlRows"]

_MAX_LISTED = 100
_OPEN_S = 300.0
"""So long a connection's settings are used. Its keys may be others then, and a role's expire after 15 minutes."""

_PATIENCE_S = 5.0
"""So long one look waits for another through the same connection: one that hangs must not hold every thread."""

_Made = TypeVar("_Made")


class _Connection:
    """A connection that many look through. What one sees, or fails with, is for some time what all see.

    To open it for each check would cost more than the check: 17 ms of CPU on S3, a login in a database.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._began = 0.0
        self._known: dict[Hashable, tuple[float, Any]] = {}
        self._failed: tuple[float, str] = (0.0, "")

    def see(self, what: Hashable, look: Callable[[], _Made], *, fresh_s: float) -> _Made:
        """Return what ``look`` gives, or gave within the last seconds to somebody who asked for the same.

        :raises UnavailableError: when the connection hangs, or did not answer just now.
        """
        with self._turn():
            self._began = now = time.monotonic()
            if what in self._known and now < self._known[what][0]:
                known: _Made = self._known[what][1]
                return known
            if now < self._failed[0]:
                raise UnavailableError(self._failed[1])
            try:
                seen = look()
            except UnavailableError as error:
                self._failed = (time.monotonic() + fresh_s, str(error))
                raise
            self._known = {name: kept for name, kept in self._known.items() if now < kept[0]}
            self._known[what] = (time.monotonic() + fresh_s, seen)
            return seen

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until the check before is over, but not for one that hangs already."""
        end = self._began + _PATIENCE_S
        is_free = self._lock.acquire(blocking=False)
        while not is_free and (left := end - time.monotonic()) > 0:
            is_free = self._lock.acquire(timeout=left)
            end = self._began + _PATIENCE_S  # perhaps another one has begun
        if not is_free:
            seconds = time.monotonic() - self._began
            raise UnavailableError(f"Somebody has looked through the same connection for {seconds:.0f} s already.")
        try:
            yield
        finally:
            self._lock.release()


_connections: dict[tuple[str, str | None], _Connection] = {}


def _connection(kind: str, conn_id: str | None) -> _Connection:
    return _connections.setdefault((kind, conn_id), _Connection())


class LocalFiles:
    """Files on this machine. One counts once two checks find it unchanged: until then it may still be written.

    :param recursive: whether a folder stands for what is in its folders too.
    """

    def __init__(self, path: str, *, recursive: bool = False) -> None:
        self._path, self._recursive = path, recursive
        self._before: dict[str, str] = {}

    def news(self, handled: Mapping[str, str]) -> News:
        """Return the stamps of the files that have arrived."""
        from airflow_mlops.adapters.storage.local_files import file_stamps
        from airflow_mlops.core.data.snapshot import arrived_files

        before, self._before = self._before, file_stamps(self._path, recursive=self._recursive)
        return _told(self._before, arrived_files(now=self._before, before=before, handled=handled))


class S3Objects:
    """Objects on S3. One look is enough: an object is there whole, or not yet.

    :param conn_id: the Airflow connection of type ``aws``; ``None``: ``aws_default``.
    :param recursive: whether a folder stands for what is in its folders too.
    :param fresh_s: for how many seconds a check serves others that want the same.
    """

    def __init__(self, path: str, conn_id: str | None, *, recursive: bool = False, fresh_s: float = 0.0) -> None:
        self._path, self._conn_id, self._recursive, self._fresh_s = path, conn_id, recursive, fresh_s

    def news(self, handled: Mapping[str, str]) -> News:
        """Return ETag and size of the objects that have arrived or changed."""
        from airflow_mlops.core.data.snapshot import arrived_files

        connection = _connection("s3", self._conn_id)
        now = connection.see((self._path, self._recursive), lambda: self._stamps(connection), fresh_s=self._fresh_s)
        return _told(now, arrived_files(now=now, before=now, handled=handled))

    def _stamps(self, connection: _Connection) -> dict[str, str]:
        from airflow_mlops.adapters.s3.objects import object_stamps

        client = connection.see("client", self._client, fresh_s=_OPEN_S)
        return object_stamps(client, self._path, recursive=self._recursive)

    def _client(self) -> Any:
        from airflow_mlops.adapters.s3.objects import open_client
        from airflow_mlops.hooks.sources import AirflowConnections

        # Others wait meanwhile, and the next check comes anyway.
        return open_client(replace(AirflowConnections().s3(self._conn_id), timeout_s=10.0, max_attempts=2))


class SqlRows:
    """The rows of a query, by their timestamp: those are new that are later than all before, or as late as the last.

    A row that comes late, with an earlier timestamp, is not noticed: to find it, all rows would have to be counted at
    each check. The run that a later one starts has it, if its window does. A time that lies in the future counts once
    it has come, so that one wrong year does not hide all that follows.

    :param fresh_s: for how many seconds a check serves others that want the same.
    """

    def __init__(self, query: str, *, timestamp: str, conn_id: str, fresh_s: float = 0.0) -> None:
        self._query, self._timestamp, self._conn_id, self._fresh_s = query, timestamp, conn_id, fresh_s

    def news(self, handled: Mapping[str, str]) -> News:
        """Return the latest timestamp and how many rows have it, if there are rows that are new."""
        from airflow_mlops.adapters.sql.newest import newest_rows

        moment, _, n_known = handled.get(self._timestamp, "").partition(" ")
        since, n_at = datetime.fromisoformat(moment) if moment else None, int(n_known or 0)
        connection = _connection("sql", self._conn_id)

        def look() -> Any:
            engine = connection.see("engine", self._engine, fresh_s=_OPEN_S)
            return newest_rows(engine, self._query, timestamp=self._timestamp, since=since, until=datetime.now(UTC))

        found = connection.see((self._query, self._timestamp, since), look, fresh_s=self._fresh_s)
        if found is None or (found.at == since and found.n_at <= n_at):
            return {}, {}
        event = {"n_rows": max(found.n_rows - n_at, 1), "until": found.at.isoformat()}
        return {self._timestamp: f"{found.at.isoformat()} {found.n_at}"}, event

    def _engine(self) -> Any:
        from airflow_mlops.hooks.sources import AirflowConnections

        return AirflowConnections().database(self._conn_id, keeps_one=True)


def _told(now: Mapping[str, str], arrived: tuple[str, ...]) -> News:
    return {name: now[name] for name in arrived}, {"files": list(arrived[:_MAX_LISTED]), "n_files": len(arrived)}
