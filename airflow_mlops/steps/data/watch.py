"""Watching for new data: what somebody has not been notified of yet, and the book that is kept of it."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_mlops.adapters.storage.store import Watermark
from airflow_mlops.errors import IntegrityError, MlopsError, UnavailableError

__all__ = ["DataWatch", "News", "WatchedSource"]

log = logging.getLogger(__name__)

News = tuple[dict[str, str], dict[str, Any]]
"""Stamps of what is new, by name, and what somebody is told of it. Without stamps there is nothing to tell."""

STORED_S = 30.0
"""Within so many seconds Airflow has stored an event. A triggerer that has just been started needs 5 of them."""

_PROBLEM = ""
"""The name, which nothing else has, of the mistake that keeps a source from being looked at."""


class WatchedSource(Protocol):
    """What new data may come into."""

    def news(self, handled: Mapping[str, str]) -> News:
        """Look once, and return what is new.

        :param handled: the stamps that were told of, by name.
        :raises UnavailableError: when the source does not answer.
        :raises MlopsError: when it can't be looked at until somebody fixes something.
        """


class DataWatch:
    """Looks for data that nobody was notified of, and notes in the storage what was told.

    It is noted as told once Airflow has had the time to store the event, so that no crash loses one. Until then it is
    announced: whoever looks after a crash tells it again.

    A mistake, such as a bucket that is not there, is told too, as ``{"problem": text}``, once until it is fixed:
    whoever is told then fails with it where people look, and does not wait for what can't come.
    """

    def __init__(self, source: WatchedSource, note: Watermark) -> None:
        self._source, self._note = source, note
        self._told: list[tuple[float, dict[str, str]]] = []
        self._problem = ""

    def look(self) -> dict[str, Any] | None:
        """Look once. What this returns has to be told before the next check.

        :returns: what to tell; ``None``: nothing.
        :raises UnavailableError: when source or storage do not answer. The next check misses nothing.
        """
        try:
            return self._look()
        except UnavailableError:
            raise
        except MlopsError as error:
            log.error("new data can't be watched: %s", error)
            return self._tell_problem(str(error))

    def _look(self) -> dict[str, Any] | None:
        self._confirm()
        handled = self._note.handled() | self._announced()
        problem = handled.pop(_PROBLEM, "")
        stamps, event = self._source.news(handled)
        if problem or self._problem:
            self._forget_problem()
        if not stamps:
            return None
        self._announce(stamps)
        return event

    def _confirm(self) -> None:
        """Note as told what Airflow must have stored by now."""
        while self._told and time.monotonic() - self._told[0][0] >= STORED_S:
            self._note.confirm(self._told[0][1])
            self._told.pop(0)

    def _announce(self, stamps: dict[str, str]) -> None:
        self._note.announce(self._announced() | stamps)
        self._told.append((time.monotonic(), stamps))

    def _announced(self) -> dict[str, str]:
        """Return what was told and is not noted yet, the last stamp of each name."""
        return {name: stamp for _, stamps in self._told for name, stamp in stamps.items()}

    def _tell_problem(self, text: str) -> dict[str, Any] | None:
        problem = re.sub(r"\d+", "#", text)  # the time, a process: what differs each time is no other mistake
        if problem == self._problem:
            return None
        is_known = False
        with contextlib.suppress(IntegrityError):  # if the note itself is what is damaged
            is_known = self._note.handled().get(_PROBLEM) == problem
            if not is_known:
                self._announce({_PROBLEM: problem})
        self._problem = problem
        return None if is_known else {"problem": text}

    def _forget_problem(self) -> None:
        self._told = [(at, stamps) for at, stamps in self._told if _PROBLEM not in stamps]
        self._note.announce({**self._announced(), _PROBLEM: ""})  # what somebody else has announced is new again now
        self._note.confirm({_PROBLEM: ""})
        self._problem = ""
