"""Rows written into a table by their key: those that are there are replaced, the others added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from airflow_mlops.adapters.sql.faults import subject_of, translated
from airflow_mlops.errors import DataError, MlopsError, SpecError, UnavailableError

__all__ = ["require_upsert", "upsert_rows"]

_INSERT: Mapping[str, Callable[..., Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_STAYS = "The table is as it was."
_WRITING: Mapping[type[MlopsError], tuple[str, str]] = {
    UnavailableError: ("does not answer", f"{_STAYS} Check that it runs and that the connection names it, then retry."),
    SpecError: (
        "refuses the rows",
        f"{_STAYS} Fix the table (all of the columns, and a primary key or a unique constraint over the key), the "
        f"connection, or what its user may write.",
    ),
    DataError: ("can't take the rows", f"{_STAYS} Fix the table's types and constraints, or the rows."),
}


def require_upsert(engine: sa.Engine) -> None:
    """See that a database knows ``INSERT … ON CONFLICT``; it is not connected to.

    :raises SpecError: when it does not.
    """
    if engine.dialect.name not in _INSERT:
        raise SpecError(
            f"{subject_of(engine)} can't be written by key: PostgreSQL and SQLite can so far. Nothing was written. "
            f"Name a connection to one of them, or load the Parquet file that the predictions are in."
        )


def upsert_rows(
    engine: sa.Engine, table: str, rows: Iterable[pa.RecordBatch], *, schema: pa.Schema, key: Sequence[str], newest: str
) -> int:
    """Write rows in one transaction, so that all of them are there or none.

    However often the same rows are written, they are there once. A row is not replaced by an older one. The engine
    stays open.

    :param table: its name, or ``schema.name``. It is made if it is not there.
    :param rows: of which no two have the same key.
    :param key: the columns that make it.
    :param newest: the column that says how new a row is.
    :returns: how many rows were given.
    :raises DataError: when the table can't hold a value.
    :raises SpecError: when a column has no type in SQL, or the database refuses the table or the rows.
    :raises UnavailableError: when the database does not answer.
    """
    target = _table(table, schema, key)
    inserted = _INSERT[engine.dialect.name](target)
    others = {column.name: inserted.excluded[column.name] for column in target.columns if column.name not in key}
    statement = inserted.on_conflict_do_update(
        index_elements=list(key), set_=others, where=target.c[newest] <= inserted.excluded[newest]
    )
    n_rows = 0
    with translated(engine, _WRITING), engine.begin() as connection:
        target.create(connection, checkfirst=True)
        for batch in rows:
            connection.execute(statement, batch.to_pylist())
            n_rows += batch.num_rows
    return n_rows


def _table(table: str, schema: pa.Schema, key: Sequence[str]) -> sa.Table:
    owner, _, name = table.rpartition(".")
    columns = [
        sa.Column(column.name, _type_of(column), primary_key=column.name in key, autoincrement=False)
        for column in schema
    ]
    return sa.Table(name, sa.MetaData(), *columns, schema=owner or None)


def _type_of(column: pa.Field) -> Any:
    of, kind = pa.types, column.type
    if of.is_boolean(kind):
        return sa.Boolean()
    if of.is_integer(kind):
        return sa.BigInteger()
    if of.is_floating(kind):
        return sa.Double()
    if of.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale)
    if of.is_timestamp(kind):
        return sa.DateTime(timezone=kind.tz is not None)
    if of.is_date(kind):
        return sa.Date()
    if of.is_string(kind):
        return sa.Text()
    raise SpecError(
        f"Column {column.name!r} is of type {kind}, which has no column type of its own in SQL. Nothing was written to "
        f"the table. Leave it out of `keep`, or cast it to text or numbers in data.features."
    )
