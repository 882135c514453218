"""DuckDB: answers questions about a snapshot, and counts what each of its columns holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, one_row, paths, stored
from airflow_mlops.adapters.duckdb_engine.profiles._numbers import NumberCounter
from airflow_mlops.adapters.duckdb_engine.profiles._scan import Groups, Question, Scan
from airflow_mlops.adapters.duckdb_engine.profiles.counts import MAX_KEY_LENGTH
from airflow_mlops.core.data.profile import (
    MAX_CATEGORIES,
    N_TOP_VALUES,
    OTHER,
    ColumnProfile,
    Spread,
    fold_rare,
    has_profile,
    is_moment,
    is_numeric,
)
from airflow_mlops.core.data.snapshot import Column

__all__ = ["examples_that_are_not", "profile_columns", "time_range"]

_MANY_VALUES = 1_000


def profile_columns(
    parquet: str,
    columns: Sequence[Column],
    sample: pa.Table,
    *,
    spreads: Mapping[str, Spread],
    is_ordered: Mapping[str, bool] | None = None,
) -> tuple[ColumnProfile, ...]:
    """Count what each column of a snapshot holds, on all of its rows.

    What the file's own statistics answer is asked of them, and each column is read once for its counts.

    :param columns: with their nulls counted.
    :param sample: rows that are spread over the file; they choose bins, and are counted like all others.
    :param spreads: means and standard deviations, which were known when the rows were written.
    :param is_ordered: what is known of the order of dates and timestamps.
    :raises DataError: when the file can't be read.
    """
    with connect(f"The snapshot {parquet}") as connection:
        connection.execute("SET parquet_metadata_cache = true")  # questions are many, and the file does not change
        connection.execute("SET perfect_ht_threshold = 16")  # bits: SMALLINT's values are counted in an array
        scan = Scan(connection, stored(parquet), sample)
        # In three passes at most: the file's statistics, then columns of many values, then the counts of all columns.
        n_rows, extremes = _extremes(scan, parquet, [column.name for column in columns if _has_extremes(column.type)])
        counter = NumberCounter(scan, extremes)
        frequent = {column.name: _frequent(scan, column.name) for column in columns if _is_category(column.type)}
        many = _many(scan, [column for column in columns if _has_many(column, counter, frequent)])
        groups = scan.groups(_questions(columns, counter, frequent, many))
        profiles = []
        for column in columns:
            rest = {key: n for key, n in (("null", column.n_null), (OTHER, n_rows - column.n_null)) if n}
            profile = ColumnProfile(name=column.name, counts=rest, **many.get(column.name, {}))
            if is_numeric(column.type):
                spread = spreads.get(column.name, Spread())
                profile = replace(profile, mean=spread.mean, std=spread.std)
                profile = counter.profile(profile, groups.get(column.name), column.n_null, n_rows)
            elif is_moment(column.type):
                profile = _moment(profile, extremes[column.name], (is_ordered or {}).get(column.name))
            elif column.name in groups:
                profile = _category(profile, column, groups[column.name], n_rows)
            profiles.append(profile)
    return tuple(profiles)


def _extremes(scan: Scan, parquet: str, columns: Sequence[str]) -> tuple[int, dict[str, tuple[Any, Any]]]:
    """Return the number of rows, and the smallest and the largest value of columns, from the file's statistics.

    They leave NaN out, as it is wanted here, so the engine must not be told that there may be some: it would answer
    that the largest value is NaN.
    """
    expressions = ["count(*)", *(f"{of}({name(column)})" for column in columns for of in ("min", "max"))]
    statistics = replace(scan, rows=f"read_parquet({paths([parquet])})")
    n_rows, *found = statistics.row(expressions)
    return n_rows, dict(zip(columns, zip(found[::2], found[1::2], strict=True), strict=True))


def _questions(
    columns: Sequence[Column],
    counter: NumberCounter,
    frequent: Mapping[str, Sequence[str]],
    many: Mapping[str, Mapping[str, Any]],
) -> dict[str, Question]:
    questions = {}
    for column in columns:
        question = counter.question(column) if is_numeric(column.type) else None
        if column.name in frequent:
            question = _of_category(column, frequent[column.name], many.get(column.name))
        if question:
            questions[column.name] = question
    return questions


def _of_category(column: Column, frequent: Sequence[str], known: Mapping[str, Any] | None) -> Question | None:
    """Ask for the values of a column that has few, and of one that has many for those its sample has most often."""
    if known is None:
        return Question(key=name(column.name), is_text=True)
    if (known.get("max_length") or 0) > MAX_KEY_LENGTH:
        return None
    among = ", ".join(map(literal, frequent[:MAX_CATEGORIES]))
    return Question(key=name(column.name), is_text=True, where=f"{name(column.name)}::VARCHAR IN ({among})")


def _has_extremes(arrow_type: str) -> bool:
    return is_numeric(arrow_type) or is_moment(arrow_type)


def _is_category(arrow_type: str) -> bool:
    return has_profile(arrow_type) and not _has_extremes(arrow_type)


def _has_many(column: Column, counter: NumberCounter, frequent: Mapping[str, list[str]]) -> bool:
    if column.name in frequent:
        return len(frequent[column.name]) > _MANY_VALUES
    return counter.has_unknown_distinct(column) if is_numeric(column.type) else is_moment(column.type)


def _many(scan: Scan, columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    """Answer for columns of many values what can't be had from the counts of their values."""
    asked = []
    for column in columns:
        asked.append((column.name, "n_distinct", f"approx_count_distinct({name(column.name)})"))
        if column.type == "string":
            asked.append((column.name, "min_length", f"min(length({name(column.name)}))"))
            asked.append((column.name, "max_length", f"max(length({name(column.name)}))"))
    answers: dict[str, dict[str, Any]] = {column.name: {} for column in columns}
    if asked:
        row = scan.row([expression for _, _, expression in asked])
        for (column_name, key, _), answer in zip(asked, row, strict=True):
            answers[column_name][key] = answer
    return answers


def _moment(profile: ColumnProfile, extremes: tuple[Any, Any], is_ordered: bool | None) -> ColumnProfile:
    return replace(profile, minimum=_iso(extremes[0]), maximum=_iso(extremes[1]), is_ordered=is_ordered)


def _iso(moment: date | str | None) -> str | None:
    """Write a time, which is text already where it lies beyond the years from 1 to 9999."""
    return moment.isoformat() if isinstance(moment, date) else moment and moment.replace(" ", "T")


def _frequent(scan: Scan, column: str) -> list[str]:
    """Return the values of the sample as text, the most frequent ones first."""
    values = scan.sample.column(column).drop_null().cast(pa.string()).value_counts()
    found = zip(values.field("counts").to_pylist(), values.field("values").to_pylist(), strict=True)
    return [value for _, value in sorted(found, key=lambda item: (-item[0], item[1]))]


def _category(profile: ColumnProfile, column: Column, groups: Groups, n_rows: int) -> ColumnProfile:
    counts = {value: n for value, n, _ in groups if value is not None}
    if profile.n_distinct is None:
        lengths = [len(value) for value in counts] if column.type == "string" else []
        shortest, longest = (min(lengths), max(lengths)) if lengths else (None, None)
        profile = replace(profile, n_distinct=len(counts), min_length=shortest, max_length=longest)
        if (longest or 0) > MAX_KEY_LENGTH:
            return profile
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:N_TOP_VALUES]
    return replace(profile, counts=fold_rare(counts, column.n_null, n_rows, known={}), top_values=tuple(top))


def time_range(parquet: str, column: str) -> tuple[datetime | None, datetime | None]:
    """Return the smallest and the largest timestamp of the years from 1 to 9999; ``None`` where there is none."""
    moment = f"TRY_CAST({name(column)} AS TIMESTAMP)"
    held = f"FILTER (year({moment}) BETWEEN 1 AND 9999)"  # Python has no others
    low, high = one_row(parquet, f"min({moment}) {held}, max({moment}) {held}")
    return low, high


def examples_that_are_not(parquet: str, column: str, arrow_type: str, limit: int = 3) -> tuple[str, ...]:
    """Return some of a text column's values that can't be read as the type that was expected."""
    wanted = "TIMESTAMP" if arrow_type.startswith(("timestamp", "date")) else "DOUBLE"
    quoted = name(column)
    with connect(f"Column {column!r}") as connection:
        rows = connection.execute(
            f"SELECT DISTINCT {quoted}::VARCHAR FROM {stored(parquet)} "
            f"WHERE {quoted} IS NOT NULL AND TRY_CAST({quoted} AS {wanted}) IS NULL ORDER BY 1 LIMIT {limit}"
        ).fetchall()
    return tuple(str(row[0])[:80] for row in rows)
