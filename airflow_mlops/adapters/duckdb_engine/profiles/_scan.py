"""DuckDB: a file that questions are asked of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import literal

__all__ = ["Groups", "Question", "Scan"]

Groups = list[tuple[Any, int, int | None]]
"""Keys, each with its number of rows and, where that was asked, about how many different values they have."""

_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Question:
    """How many rows there are of each key.

    :param key: SQL that gives a number or, where ``is_text``, a text.
    :param where: SQL of a condition; empty: all rows count.
    :param distinct: SQL whose different values are counted, about, for each key; empty: they are not.
    :param known: texts that are answered before others.
    :param limit: how many keys are answered, null, the known and the most frequent ones; 0: all.
    """

    key: str
    is_text: bool = False
    where: str = ""
    distinct: str = ""
    known: tuple[str, ...] = ()
    limit: int = 0

    def sql(self, place: int, rows: str) -> str:
        """Return a query whose rows have the form of every other question's."""
        distinct = f"approx_count_distinct({self.distinct})" if self.distinct else "NULL::BIGINT"
        where = f"WHERE {self.where} " if self.where else ""
        columns = ("NULL::DOUBLE", "key::VARCHAR") if self.is_text else ("key::DOUBLE", "NULL::VARCHAR")
        # By its place: a name would be that of a column, if the file has one of it.
        counted = f"SELECT {self.key} AS key, count(*) AS n, {distinct} AS n_distinct FROM {rows} {where}GROUP BY 1"
        answers = f"SELECT {place}, {', '.join(columns)}, n, n_distinct FROM ({counted})"
        if not self.limit:
            return answers
        known = f"key::VARCHAR IN ({', '.join(map(literal, self.known))}) DESC, " if self.known else ""
        return f"(FROM ({answers} ORDER BY key IS NULL DESC, {known}n DESC LIMIT {self.limit}))"


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
        found: tuple[Any, ...] = self._all(f"SELECT {', '.join(expressions)} FROM {self.rows}")[0]
        return found  # an aggregate without GROUP BY gives exactly one

    def groups(self, questions: Mapping[str, Question]) -> dict[str, Groups]:
        """Return the answers to questions by name.

        Some of them are asked at once: while one is being finished, the next is under way.
        """
        answers: dict[str, Groups] = {name: [] for name in questions}
        names = list(questions)
        for first in range(0, len(names), _AT_ONCE):
            asked = names[first : first + _AT_ONCE]
            sql = " UNION ALL ".join(questions[name].sql(place, self.rows) for place, name in enumerate(asked))
            for place, number, text, n_rows, n_distinct in self._all(sql):
                name = asked[place]
                answers[name].append((text if questions[name].is_text else number, n_rows, n_distinct))
        return answers

    def _all(self, sql: str) -> list[Any]:
        rows: list[Any] = self.connection.execute(sql).fetchall()
        return rows
