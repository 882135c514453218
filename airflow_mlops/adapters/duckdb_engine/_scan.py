"""DuckDB: a file that questions are asked of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

__all__ = ["Scan"]


@dataclass(frozen=True)
class Scan:
    """A file, and a sample of its rows.

    :param rows: the file as a table, in SQL.
    """

    connection: duckdb.DuckDBPyConnection
    rows: str
    sample: pa.Table

    def row(self, expressions: Sequence[str]) -> tuple[Any, ...]:
        """Return the answers of one aggregate over all rows."""
        found: tuple[Any, ...] = self.all(f"SELECT {', '.join(expressions)} FROM {self.rows}")[0]
        return found  # an aggregate without GROUP BY gives exactly one

    def all(self, sql: str) -> list[Any]:
        """Return all rows of a query's answer."""
        rows: list[Any] = self.connection.execute(sql).fetchall()
        return rows
