"""DuckDB: counts rows in given bins."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import condition, connect, literal, name, stored, stored_without_nan
from airflow_mlops.adapters.duckdb_engine.profiles._bins import BinCounter
from airflow_mlops.adapters.duckdb_engine.profiles._scan import Groups, Question, Scan
from airflow_mlops.core.data.profile import MAX_CATEGORIES, N_TOP_VALUES, OTHER, ColumnProfile, fold_rare
from airflow_mlops.core.data.snapshot import RowFilter

__all__ = ["MAX_KEY_LENGTH", "count_columns"]

_MANY = 10_000

MAX_KEY_LENGTH = 256
"""Characters of the longest text that counts as a category; longer ones are prose."""


def count_columns(
    parquet: str | Sequence[str], bins: Sequence[ColumnProfile], *, only: RowFilter | None = None
) -> tuple[int, tuple[ColumnProfile, ...]]:
    """Count columns in given bins over all rows.

    Each column is read once, and a second time only in those blocks that hold values just outside of its bins, or
    where it holds null, NaN, infinities or values far outside.

    :param parquet: one or more files.
    :param bins: the columns, with the edges of their bins. A column without edges is categorical: its categories
        are those that ``bins`` counted, or the most frequent ones that are found.
    :param only: the rows that count; ``None``: all.
    :returns: the number of rows that counted, and a profile for each column. Among the ``top_values`` of a categorical
        column are the ones that ``bins`` did not count, unless that has only the frequent ones of many.
    :raises DataError: when the files can't be read, or lack a column.
    """
    wanted = f" WHERE {condition(only)}" if condition(only) else ""
    counters = {column.name: BinCounter.of(column) for column in bins if column.edges is not None}
    texts = {column.name: question for column in bins if (question := _of_category(column))}
    with connect(f"The snapshot {parquet}" if isinstance(parquet, str) else f"{len(parquet)} files") as connection:
        connection.execute("SET parquet_metadata_cache = true")  # questions are many, and the files do not change
        connection.execute("SET perfect_ht_threshold = 16")  # bits: SMALLINT's values are counted in an array
        scan, outer = (
            Scan(connection, f"(FROM {table}{wanted})", pa.table({}))
            for table in (stored(parquet), stored_without_nan(parquet))
        )
        # One pass counts by bins and categories. What it leaves open is asked after it, of columns that need it: just
        # outside of the bins (most blocks are skipped by their extremes), null, NaN and the infinities.
        (n_rows,) = scan.row(["count(*)"])
        groups = scan.groups({column: counter.question() for column, counter in counters.items()} | texts)
        near = {f"{side}{c}": asked for c, each in counters.items() for side, asked in each.outer_questions().items()}
        outside = {key: sum(n for _, n, _ in found) for key, found in outer.groups(near).items()}
        told = {column: _n_null(groups[column]) for column, text in texts.items() if not text.where}
        open_ones = [c.name for c in bins if c.name not in told and _n_in_cells(groups.get(c.name, [])) < n_rows]
        # A column all of whose rows are in cells has no null, which most columns prove by that.
        nulls = dict.fromkeys((column.name for column in bins), 0) | told | _nulls(scan, open_ones)
        odd = _odd(scan, [each for c, each in counters.items() if _n_in_cells(groups[c]) + nulls[c] < n_rows])
    profiles = []
    for column in bins:
        if column.edges is None:
            profiles.append(_in_categories(column, groups.get(column.name, []), nulls[column.name], n_rows))
        else:
            counter, rest = counters[column.name], odd.get(column.name, {})
            below, above = (outside.get(f"{side}{column.name}", 0) for side in ("below", "above"))
            special = {"null": nulls[column.name], **rest}
            profiles.append(counter.profile(groups[column.name], below=below, above=above, special=special))
    return n_rows, tuple(profiles)


def _of_category(column: ColumnProfile) -> Question | None:
    """Ask for all values, or for the frequent ones where the reference had too many to count each of them."""
    known, key = _known(column), name(column.name)
    if column.edges is not None or (OTHER in column.counts and not known):
        return None
    if OTHER in column.counts and (column.n_distinct or _MANY) >= _MANY:
        return Question(key=key, is_text=True, where=f"{key}::VARCHAR IN ({', '.join(map(literal, known))})")
    return Question(key=key, is_text=True, known=known, limit=len(known) + MAX_CATEGORIES + 1)


def _known(column: ColumnProfile) -> tuple[str, ...]:
    return tuple(label.removeprefix("=") for label in column.counts if label.startswith("="))


def _n_in_cells(groups: Groups) -> int:
    return sum(n for key, n, _ in groups if key is not None)


def _n_null(groups: Groups) -> int:
    """Return the rows of null, which texts that no condition leaves out are asked for."""
    return sum(n for key, n, _ in groups if key is None)


def _nulls(scan: Scan, columns: Sequence[str]) -> dict[str, int]:
    """Count null in columns."""
    found = scan.row([f"count(*) - count({name(column)})" for column in columns]) if columns else ()
    return dict(zip(columns, found, strict=True))


def _odd(scan: Scan, counters: Sequence[BinCounter]) -> dict[str, dict[str, int]]:
    """Count NaN, the infinities and what is far outside."""
    asked = [(counter.column, bin_name, sql) for counter in counters for bin_name, sql in counter.odd().items()]
    answers = scan.row([sql for _, _, sql in asked]) if asked else ()
    odd: dict[str, dict[str, int]] = {counter.column: {} for counter in counters}
    for (column, bin_name, _), n_rows in zip(asked, answers, strict=True):
        odd[column][bin_name] = n_rows
    return odd


def _in_categories(column: ColumnProfile, groups: Groups, n_null: int, n_rows: int) -> ColumnProfile:
    counts = {value: n for value, n, _ in groups if value is not None}
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:N_TOP_VALUES]
    folded = fold_rare(counts, n_null, n_rows, known=column.counts)
    return ColumnProfile(name=column.name, counts=folded, top_values=tuple(top))
