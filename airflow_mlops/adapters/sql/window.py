"""The window as a part of a query."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["athena_query", "bare", "columns_of", "newest_within", "verbatim", "within"]

_SQLITE_MOMENT = "%Y-%m-%d %H:%M:%f"


def verbatim(query: str) -> sa.TextClause:
    """Return the user's query as it is, where SQLAlchemy would read ``:name`` as a parameter."""
    return sa.text(bare(query).replace(":", "\\:"))


def columns_of(query: str, rows: sa.ColumnElement[bool] | None = None) -> sa.Select[tuple[str]]:
    """Return a query that gives the columns of another, and those of its rows that are meant: by default none."""
    return _select(query).where(sa.text("1 = 0") if rows is None else rows)


def newest_within(query: str, timestamp: str, window: Window, dialect: str) -> sa.Select[datetime, int]:
    """Return a query that gives the latest timestamp of another's rows in the window, and how many those rows are."""
    moment = _moment(timestamp, dialect)
    return (
        sa.select(sa.func.max(moment), sa.func.count())
        .select_from(_dataset(query))
        .where(moment.is_not(None), *_bounds(moment, window, dialect))
    )


def within(query: str, timestamp: str, window: Window, dialect: str) -> sa.Select[tuple[str]]:
    """Return a query that gives the rows of another that lie in the window, or whose timestamp is null.

    The times are bound as parameters. SQLite has no timestamps: there the column's text is read as one, to
    the millisecond, and text that is none counts as null. In databases other than PostgreSQL and SQLite a
    timestamp without a time zone is compared as it stands, that is as UTC.
    """
    moment = _moment(timestamp, dialect)
    bounds = _bounds(moment, window, dialect)
    rows = [sa.and_(*bounds), moment.is_(None)]
    if dialect == "sqlite":  # a number would be read as a Julian day: it goes through, to be refused by its type
        rows.append(sa.func.typeof(sa.column(timestamp)).in_(["integer", "real"]))
    return _select(query).where(sa.or_(*rows))


def athena_query(data: DatasetSpec, window: Window) -> str:
    """Return the spec's query with the window in it, as Athena (Trino) understands it.

    Rows whose timestamp is null stay in: it is the validation that has to see them.

    >>> data = DatasetSpec(
    ...     query="SELECT * FROM rides;", conn_id="aws", athena={"database": "d", "output_location": "s3://b/t"},
    ...     timestamp="at",
    ... )
    >>> print(athena_query(data, Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=None)))
    SELECT * FROM (
    SELECT * FROM rides
    ) AS dataset WHERE ("at" >= TIMESTAMP '2026-01-01 00:00:00') OR "at" IS NULL
    """
    query = bare(str(data.query))
    if data.timestamp is None or window.is_open:
        return query
    column = '"' + data.timestamp.replace('"', '""') + '"'
    bounds = [f"{column} >= {_literal(window.start)}"] if window.start else []
    bounds += [f"{column} < {_literal(window.end)}"] if window.end else []
    return f"SELECT * FROM (\n{query}\n) AS dataset WHERE ({' AND '.join(bounds)}) OR {column} IS NULL"


def bare(query: str) -> str:
    """Return the query without the semicolons at its end."""
    return query.strip().rstrip("; \t\r\n")


def _select(query: str) -> sa.Select[tuple[str]]:
    return sa.select(sa.text("*")).select_from(_dataset(query))


def _dataset(query: str) -> sa.TextClause:
    # The line breaks keep a comment at the query's end from taking the bracket with it.
    return sa.text(f"(\n{verbatim(query).text}\n) dataset")


def _moment(timestamp: str, dialect: str) -> sa.ColumnElement[datetime]:
    column: sa.ColumnElement[datetime] = sa.column(timestamp)
    return sa.func.strftime(_SQLITE_MOMENT, column) if dialect == "sqlite" else column


def _bounds(moment: sa.ColumnElement[datetime], window: Window, dialect: str) -> list[sa.ColumnElement[bool]]:
    bounds = []
    if window.start:
        bounds.append(moment >= _bound("window_start", window.start, dialect))
    if window.end:
        bounds.append(moment < _bound("window_end", window.end, dialect))
    return bounds


def _bound(name: str, moment: datetime, dialect: str) -> sa.ColumnElement[datetime]:
    if dialect == "sqlite":
        text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
        return sa.func.strftime(_SQLITE_MOMENT, sa.bindparam(name, text, sa.String()))
    if dialect == "postgresql":  # compares with timestamps of both kinds and with dates, and may use their index
        return sa.bindparam(name, moment, sa.DateTime(timezone=True))
    return sa.bindparam(name, moment.astimezone(UTC).replace(tzinfo=None), sa.DateTime())


def _literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
