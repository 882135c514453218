"""What a database refuses, told apart: an outage, a query that is wrong, data that can't be computed."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping

import sqlalchemy as sa
from sqlalchemy import exc

from airflow_mlops.errors import DataError, MlopsError, SpecError, UnavailableError

__all__ = ["subject_of", "translated"]

# Classes of SQLSTATE (ISO 9075, PostgreSQL's appendix A).
_OUTAGES = ("08", "40", "53", "55", "57", "58", "F0", "XX")
_REFUSALS = ("0A", "25", "26", "28", "34", "3D", "3F", "42")

# Where a connection is refused, drivers of PostgreSQL give no SQLSTATE.
_LOGIN = re.compile(
    r'authentication failed|no pg_hba\.conf entry|(role|database) ".*" does not exist|no password supplied'
)

_SQLITE_OUTAGES = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_NOMEM")
_SQLITE_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_MAX_LINE = 300
_STAYS = "Nothing was kept and the champion stays."
_READING: Mapping[type[MlopsError], tuple[str, str]] = {
    UnavailableError: ("does not answer", f"{_STAYS} Check that it runs and that the connection names it, then retry."),
    SpecError: ("refuses", f"{_STAYS} Fix data.query, the connection, or what its user may read."),
    DataError: ("can't compute the query", f"{_STAYS} Fix the rows, or data.query so that it can."),
}


def subject_of(engine: sa.Engine) -> str:
    """Return what the database is called in messages: kind, name and host, never a user or a secret."""
    host = f" at {engine.url.host}" if engine.url.host else ""
    return f"The {engine.dialect.name} database {engine.url.database or ''!r}{host}"


@contextlib.contextmanager
def translated(engine: sa.Engine, advice: Mapping[type[MlopsError], tuple[str, str]] | None = None) -> Iterator[None]:
    """Translate what SQLAlchemy and the driver raise.

    :param advice: by the error that is raised, what the database does and what to do; ``None``: of a query.
    :raises UnavailableError: when the database does not answer, gave up or ran out of time.
    :raises SpecError: when the query is wrong, or the user may not read what it names.
    :raises DataError: when values in the database can't be computed or read.
    """
    try:
        yield
    except (exc.SQLAlchemyError, OSError) as error:
        kind = _kind_of(error)
        what, then = (advice or _READING)[kind]
        raise kind(f"{subject_of(engine)} {what}: {_first_line(error, engine)}. {then}") from error


def _kind_of(error: Exception) -> type[MlopsError]:
    cause = getattr(error, "orig", None)
    state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
    if isinstance(cause, sqlite3.Error):
        return _kind_of_sqlite(error, cause)
    if getattr(error, "connection_invalidated", False) or state.startswith(_OUTAGES):
        return UnavailableError
    if state:
        return SpecError if state.startswith(_REFUSALS) else DataError
    if isinstance(error, exc.DataError):
        return DataError
    if isinstance(error, exc.OperationalError) and _LOGIN.search(str(cause)):
        return SpecError
    if isinstance(error, (exc.ProgrammingError, exc.NotSupportedError)) or not isinstance(error, _OF_THE_DATABASE):
        return SpecError
    return UnavailableError


_OF_THE_DATABASE = (exc.DBAPIError, exc.TimeoutError, exc.DisconnectionError, OSError)


def _kind_of_sqlite(error: Exception, cause: sqlite3.Error) -> type[MlopsError]:
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith(_SQLITE_OUTAGES):
        return UnavailableError
    if isinstance(error, exc.ProgrammingError):
        return SpecError
    # Without a code it is the driver's, which could not read a value.
    return DataError if not name or name.startswith(_SQLITE_DAMAGE) else SpecError


def _first_line(error: Exception, engine: sa.Engine) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    line = lines[0].strip().rstrip(".")
    hidden = [engine.url.password, *(value for name, value in engine.url.query.items() if _SECRET.search(name))]
    for secret in hidden:
        if secret:
            line = line.replace(str(secret), "***")
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…"


_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)
