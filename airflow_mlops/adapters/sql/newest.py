"""The latest rows of a query, from one aggregate that the database computes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa

from airflow_mlops.adapters.sql.faults import subject_of, translated
from airflow_mlops.adapters.sql.window import columns_of, newest_within
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, bounded, did_you_mean

__all__ = ["NewestRows", "newest_rows"]

_POSTGRES_MOMENTS = (1082, 1114, 1184)
"""OIDs of date, timestamp and timestamptz."""


@dataclass(frozen=True, kw_only=True)
class NewestRows:
    """The rows of a query from a time on.

    :param at: the latest timestamp, in UTC.
    :param n_at: how many rows have it.
    :param n_rows: how many rows there are from the time on.
    """

    at: datetime
    n_at: int
    n_rows: int


def newest_rows(
    engine: sa.Engine, query: str, *, timestamp: str, since: datetime | None, until: datetime
) -> NewestRows | None:
    """Find the latest rows of a query whose timestamps lie in a span, in one read-only transaction.

    The bounds go into the query, as :func:`~airflow_mlops.adapters.sql.stream_query` has them, so that an index on the
    timestamp is used.

    :param since: the first time that counts; ``None``: all before ``until`` count.
    :param until: the first time that does not.
    :returns: ``None`` when there is no such row.
    :raises DataError: when the timestamp column is missing, or holds no times.
    :raises SpecError: when the database refuses the query.
    :raises UnavailableError: when the database does not answer.
    """
    with translated(engine), engine.connect() as connection:
        dialect = connection.dialect.name
        if dialect == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")  # not the server's, by which days would be others
        subject = f"{subject_of(engine)}: the query"
        _require_moments(connection, query, timestamp, subject)
        found, n_rows = _newest(connection, query, timestamp, Window(start=since, end=until))
        if found is None:
            return None
        at = _in_utc(found, timestamp, subject)
        n_at = n_rows if at == since else _newest(connection, query, timestamp, Window(start=at, end=until))[1]
        return NewestRows(at=at, n_at=n_at, n_rows=n_rows)


def _newest(connection: sa.Connection, query: str, timestamp: str, window: Window) -> tuple[Any, int]:
    row = connection.execute(newest_within(query, timestamp, window, connection.dialect.name)).one()
    return row[0], int(row[1])


def _require_moments(connection: sa.Connection, query: str, timestamp: str, subject: str) -> None:
    found = connection.execute(columns_of(query)).cursor
    described = {str(column[0]): column[1] for column in found.description} if found is not None else {}
    if timestamp not in described:
        raise DataError(
            f"{subject} does not give the timestamp column {timestamp!r}. Nothing was read. Columns: "
            f"{bounded(list(described), 20)}.{did_you_mean(timestamp, list(described))}"
        )
    is_other = connection.dialect.name == "postgresql" and described[timestamp] not in _POSTGRES_MOMENTS
    if connection.dialect.name == "sqlite":
        kind = sa.func.typeof(sa.column(timestamp)).in_(["integer", "real"])
        is_other = connection.execute(columns_of(query, kind).limit(1)).first() is not None
    if is_other:
        raise _no_moment(timestamp, subject)


def _in_utc(found: Any, timestamp: str, subject: str) -> datetime:
    try:
        moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    except ValueError:
        raise _no_moment(timestamp, subject) from None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        raise _no_moment(timestamp, subject)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _no_moment(timestamp: str, subject: str) -> DataError:
    return DataError(
        f"{subject} gives the timestamp column {timestamp!r} as something else than a timestamp or a date. Nothing was "
        f"read. Write CAST({timestamp} AS timestamp) in data.query, or what makes it one."
    )
