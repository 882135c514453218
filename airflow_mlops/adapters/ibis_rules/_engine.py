"""DuckDB: answers what Ibis asks of one Parquet file, in bounded memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.adapters.ibis_rules._columns import POSITION
from airflow_mlops.errors import IntegrityError, UnavailableError

__all__ = ["Engine", "connect", "read_schema"]

_MEMORY_LIMIT = "1GB"
# pyarrow writes a column's extremes without its NaN, and DuckDB would conclude from them that there is none.
_VIEW = "CREATE VIEW rows AS SELECT {columns} FROM read_parquet({file}, can_have_nan = true{options})"


class Engine:
    """A connection that has one Parquet file as its table ``rows``, and remembers what it was asked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, parquet: str) -> None:
        self._connection = connection
        self._parquet = parquet
        self._known: dict[str, list[tuple[Any, ...]]] = {}

    def fetch(self, question: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a small answer.

        :raises duckdb.Error: when the engine can't compute it.
        :raises IntegrityError: when the file is damaged.
        :raises UnavailableError: when the file or the engine is lost.
        """
        sql = str(ibis.to_sql(question, dialect="duckdb"))
        if sql not in self._known:
            with _losses(self._parquet):
                self._known[sql] = self._connection.execute(sql).fetchall()
        return self._known[sql]

    def fetch_one(self, question: Any) -> tuple[Any, ...]:
        """Return the one row of an answer."""
        return self.fetch(question)[0]

    def stream(self, question: Any) -> pa.RecordBatchReader:
        """Return the rows of a large answer, in the order of the file unless the question says otherwise."""
        sql = str(ibis.to_sql(question, dialect="duckdb"))
        with _losses(self._parquet):
            return self._connection.sql(sql).to_arrow_reader(65_536)

    def takes_regex(self, pattern: str) -> bool:
        """Tell whether the engine can use a regular expression at all; it refuses those that grow too large."""
        try:
            self._connection.execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
        except duckdb.Error:
            return False
        return True


@contextlib.contextmanager
def connect(parquet: str, *, is_numbered: bool = False) -> Iterator[Engine]:
    """Give an engine of its own, which spills to a temporary folder what does not fit into its memory.

    :param is_numbered: whether the rows get their position in the file, as a column more.
    """
    columns, options = "*", ""
    if is_numbered:
        columns = f'* EXCLUDE (file_row_number), file_row_number AS "{POSITION}"'
        options = ", file_row_number = true"
    file = "'" + parquet.replace("'", "''") + "'"
    with (
        tempfile.TemporaryDirectory(prefix="rules-") as folder,
        duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": folder}) as connection,
    ):
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")  # not the machine's, or workers would see other times
        with _losses(parquet):
            connection.execute(_VIEW.format(columns=columns, file=file, options=options))
        yield Engine(connection, parquet)


def read_schema(parquet: str) -> pa.Schema:
    """Return the columns and types of a Parquet file.

    :raises IntegrityError: when it is damaged.
    :raises UnavailableError: when it can't be reached.
    """
    with _losses(parquet):
        return pq.read_schema(parquet)


@contextlib.contextmanager
def _losses(parquet: str) -> Iterator[None]:
    """Tell a lost file or engine from a question that can't be answered, which stays what it is."""
    unavailable = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.ConnectionException, duckdb.FatalException)
    try:
        yield
    except pa.ArrowInvalid as error:
        raise _damaged(parquet, error) from error
    except (OSError, *unavailable) as error:
        raise UnavailableError(
            f"The rows of {parquet} can't be read: {_first_line(error)}. Nothing was checked and nothing was decided. "
            f"See that the storage can be reached, then try again."
        ) from error
    except duckdb.Error as error:
        try:
            _read_through(parquet)
        except (OSError, pa.ArrowException) as damage:
            raise _damaged(parquet, damage) from error
        raise  # the file is sound, so it is the question


def _read_through(parquet: str) -> None:
    with pq.ParquetFile(parquet) as file:
        for group in range(file.num_row_groups):
            for _ in file.iter_batches(row_groups=[group]):
                pass


def _damaged(parquet: str, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{parquet} is damaged: {_first_line(error)}. Nothing was checked and nothing was decided. "
        f"Take the snapshot anew."
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
