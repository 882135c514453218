"""Watching for new data: what somebody has not been told of yet, and the book that is kept of it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_mlops.adapters.storage import Watermark
from airflow_mlops.errors import IntegrityError, MlopsError, UnavailableError

__all__ = ["DataWatch", "News", "WatchedSource"]

log = logging.getLogger(__name__)

News = tuple[dict[str, str], dict[str, Any]]
"""Stamps of what is new, by name, and what somebody is told of it. Without stamps there is nothing to tell."""

_PROBLEM = ""
"""The name, which nothing else has, of the mistake that keeps a source from being looked at."""


class WatchedSource(Protocol):
    """What new data may come into."""

    def news(self, handled: Mapping[str, str]) -> News:
        """Look once, and return what is new.

        :param handled: the stamps that were told of, by name.
        :raises UnavailableError: when the source does not answer.
        :raises MlopsError: when it can't be looked at until somebody mends something.
        """


class DataWatch:
    """Looks for data that nobody was told of, and notes in the storage what was told.

    A mistake, such as a bucket that is not there, is told too, as ``{"problem": text}``, once until it is mended:
    whoever is told then fails with it where people look, and does not wait for what can't come.
    """

    def __init__(self, source: WatchedSource, note: Watermark) -> None:
        self._source, self._note = source, note
        self._has_told = False
        self._problem = ""

    def look(self) -> dict[str, Any] | None:
        """Look once. What this returns has to be told before the next look, which counts it as told.

        :returns: what to tell; ``None``: nothing.
        :raises UnavailableError: when source or storage do not answer. The next look misses nothing.
        """
        try:
            return self._look()
        except UnavailableError:
            raise
        except MlopsError as error:
            log.error("new data can't be watched: %s", error)
            return self._tell_problem(str(error))

    def _look(self) -> dict[str, Any] | None:
        if self._has_told:  # an interval ago, by which Airflow has stored the event
            self._note.confirm()
            self._has_told = False
        handled = self._note.handled()
        problem = handled.pop(_PROBLEM, "")
        stamps, event = self._source.news(handled)
        if problem or self._problem:
            self._note.announce({_PROBLEM: ""})  # in place of what else was announced, which is new again now
            self._note.confirm()
            self._problem = ""
        if not stamps:
            return None
        self._note.announce(stamps)
        self._has_told = True
        return event

    def _tell_problem(self, text: str) -> dict[str, Any] | None:
        problem = re.sub(r"\d+", "#", text)  # the moment, a process: what differs each time is no other mistake
        if problem == self._problem:
            return None
        self._problem = problem
        with contextlib.suppress(IntegrityError):  # if the note itself is what is damaged
            if self._note.handled().get(_PROBLEM) == problem:
                return None
            self._note.announce({_PROBLEM: problem})
            self._has_told = True
        return {"problem": text}
