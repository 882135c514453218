"""DuckDB: where a split by time cuts, and what two parts of a split have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, stored
from airflow_mlops.errors import DataError

__all__ = [
    "Late",
    "Overlap",
    "TimeScale",
    "count_groups",
    "distinct_fraction",
    "late_rows",
    "row_ids",
    "shared_groups",
    "shared_rows",
    "time_cut",
]

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_ID_TYPES = (*_WHOLE, *(f"U{kind}" for kind in _WHOLE), "VARCHAR", "UUID", "BLOB")
_NEARLY = 0.7  # of the rows, as an approximate count of different values shows them; it may be a fifth too low
_N_BINS = 1 << 16
_MEMORY_LIMIT = "1GB"  # what a join needs more than that goes to disk
_N_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class TimeScale:
    """How the times of a column are counted.

    :param unit: ``us`` or ``ns`` since 1970 in UTC.
    :param low: the smallest time.
    :param high: the largest one.
    """

    unit: str
    low: int
    high: int
    n_rows: int


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What a held-out part has in common with the training part.

    :param n_shared: rows or groups of the held-out part that are in the training part too.
    :param n_all: rows or groups of the held-out part.
    :param examples: a few that are shared, as text.
    """

    n_shared: int
    n_all: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Late:
    """How many values of a feature were known too late, or nobody knows when.

    :param n_values: rows in which the feature has a value.
    :param n_late: rows in which it became known after the time of the prediction.
    :param n_unknown: rows with a value, but without the time since when it is known.
    :param examples: a few of the late ones: known since, predicted at.
    """

    n_values: int
    n_late: int
    n_unknown: int
    examples: tuple[str, ...] = ()


def time_cut(parquet: str, column: str, fraction: float) -> tuple[TimeScale, int]:
    """Return the time from which on the last ``fraction`` of the rows lies: the quantile ``1 - fraction``.

    It is exact, and no more than a histogram is held: each check of the column counts the times in bins, and the
    next one only those of the bin that the quantile lies in. Rows of one time are never parted; where the first
    time would be the cut, the second one is.

    :raises DataError: when the column holds no dates or timestamps, a null, or no row.
    """
    scale = _time_scale(parquet, column)
    wanted = max(scale.n_rows - int(scale.n_rows - scale.n_rows * (1 - fraction)), 1)  # as quantile_disc counts
    low, high, below = scale.low, scale.high, 0
    with _reading(parquet) as engine:
        moment = _moment(column, scale.unit)
        while low < high:
            # Rounded up, so that the bins cover the span, which shrinks by their number in each pass.
            width = -(-(high - low + 1) // _N_BINS)
            counts = engine.execute(
                f"SELECT (({moment}::HUGEINT - {low}) // {width})::INTEGER, count(*) FROM rows "
                f"WHERE {moment} BETWEEN {low} AND {high} GROUP BY 1 ORDER BY 1"  # a column may have any alias's name
            ).fetchall()
            for index, count in counts:
                if below + count >= wanted:
                    low, high = low + index * width, min(high, low + (index + 1) * width - 1)
                    break
                below += count
        # Nothing would be left to train on, so the cut moves to the next time that there is.
        if low == scale.low < scale.high:
            low = engine.execute(f"SELECT min({moment}) FROM rows WHERE {moment} > {low}").fetchall()[0][0]
    return scale, low


def count_groups(parquet: str, columns: Sequence[str]) -> int:
    """Return how many groups there are: different values of the columns, taken together."""
    with _reading(parquet) as engine:
        return _n_distinct(engine, _names(columns))


def row_ids(parts: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Return those of the columns that number or name the rows: integers or text, another one in every row.

    :param parts: Parquet files, whose rows are taken together.
    """
    with _reading(list(parts)) as engine:
        described = engine.execute(f"SELECT {_names(columns)} FROM rows LIMIT 0").description
        asked = [column for column, (_, kind, *_) in zip(columns, described, strict=True) if str(kind) in _ID_TYPES]
        # First about, in one scan of all columns; only what comes near the number of rows is counted exactly.
        counts = "".join(
            f", if(count({name(column)}) = count(*), approx_count_distinct({name(column)}), 0)" for column in asked
        )
        n_rows, *about = engine.execute(f"SELECT count(*){counts} FROM rows").fetchall()[0]
        likely = [column for column, n in zip(asked, about, strict=True) if n >= _NEARLY * n_rows]
        return tuple(column for column in likely if n_rows and _n_distinct(engine, f"hash({name(column)})") == n_rows)


def distinct_fraction(parts: Sequence[str], columns: Sequence[str]) -> float:
    """Return how many different rows there are in these columns, as a fraction of all rows; 0 without rows."""
    with _reading(list(parts)) as engine:
        n_rows = engine.execute("SELECT count(*) FROM rows").fetchall()[0][0]
        return _n_distinct(engine, f"hash({_names(columns)})") / n_rows if n_rows else 0.0


def _n_distinct(engine: duckdb.DuckDBPyConnection, value: str) -> int:
    found = engine.execute(f"SELECT count(*) FROM (SELECT DISTINCT {value} FROM rows)").fetchall()
    return int(found[0][0])


def shared_rows(train: str, held_out: str, columns: Sequence[str]) -> Overlap:
    """Count the held-out rows that are equal to a training row in these columns, nulls and NaN included.

    Rows are compared by 64 bits of their hash, so that what is held of a row is small.
    """
    row = f"hash({_names(columns)})"
    shown = " || ', ' || ".join(
        f"{literal(column)} || '=' || coalesce(left({name(column)}::VARCHAR, 40), 'null')" for column in columns[:5]
    )
    with _reading(train, held_out) as engine:
        # The held-out part is held in memory; of the training part only the hashes that are in it.
        engine.execute(f"CREATE TEMP TABLE held_hashes AS SELECT {row} AS h FROM held_out")
        engine.execute(
            f"CREATE TEMP TABLE shared AS SELECT DISTINCT h FROM (SELECT {row} AS h FROM rows) "
            f"WHERE h IN (SELECT h FROM held_hashes)"
        )
        counted = "SELECT count(*) FILTER (h IN (SELECT h FROM shared)), count(*) FROM held_hashes"
        n_shared, n_all = engine.execute(counted).fetchall()[0]
        examples: list[tuple[str]] = []
        if n_shared:
            some = f"SELECT DISTINCT {shown} FROM held_out WHERE {row} IN (SELECT h FROM shared)"
            examples = engine.execute(f"{some} ORDER BY 1 LIMIT {_N_EXAMPLES}").fetchall()
    return Overlap(n_shared=n_shared, n_all=n_all, examples=tuple(text for (text,) in examples))


def shared_groups(train: str, held_out: str, columns: Sequence[str]) -> Overlap:
    """Count the groups of the held-out part that have rows in the training part too."""
    groups = _names(columns)
    shown = " || ', ' || ".join(f"coalesce(left({name(column)}::VARCHAR, 40), 'null')" for column in columns)
    with _reading(train, held_out) as engine:
        engine.execute(
            f"CREATE TEMP TABLE shared AS SELECT DISTINCT {groups} FROM held_out INTERSECT SELECT DISTINCT {groups} "
            f"FROM rows"
        )
        n_all = engine.execute(f"SELECT count(*) FROM (SELECT DISTINCT {groups} FROM held_out)").fetchall()[0][0]
        n_shared = engine.execute("SELECT count(*) FROM shared").fetchall()[0][0]
        some = engine.execute(f"SELECT {shown} FROM shared ORDER BY 1 LIMIT {_N_EXAMPLES}").fetchall()
    return Overlap(n_shared=n_shared, n_all=n_all, examples=tuple(text for (text,) in some))


def late_rows(
    parts: Sequence[str], *, known_at: Mapping[str, str], prediction_time: str
) -> tuple[int, dict[str, Late]]:
    """Count the values that became known after the time of the prediction, over all parts.

    A value that is null was known to nobody at any time, and does not count.

    :param known_at: the column that says since when a feature's value is known, by feature.
    :returns: how many rows have no time of prediction, and what was found by feature.
    """
    at = f"{name(prediction_time)}::TIMESTAMP"
    found: dict[str, Late] = {}
    with _reading(list(parts)) as engine:
        n_without = engine.execute(f"SELECT count(*) FROM rows WHERE {at} IS NULL").fetchall()[0][0]
        for feature, column in known_at.items():
            value, known = f"{name(feature)} IS NOT NULL", f"{name(column)}::TIMESTAMP"
            late = f"{value} AND {known} > {at}"
            n_values, n_late, n_unknown = engine.execute(
                f"SELECT count(*) FILTER ({value}), count(*) FILTER ({late}), count(*) FILTER ({value} AND {known} IS "
                f"NULL) FROM rows"
            ).fetchall()[0]
            some = f"SELECT DISTINCT {known}, {at} FROM rows WHERE {late} ORDER BY 1, 2 LIMIT {_N_EXAMPLES}"
            examples = tuple(f"known {k}, predicted {a}" for k, a in engine.execute(some).fetchall()) if n_late else ()
            found[feature] = Late(n_values=n_values, n_late=n_late, n_unknown=n_unknown, examples=examples)
    return n_without, found


@contextlib.contextmanager
def _reading(rows: str | list[str], held_out: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine with the views ``rows`` and ``held_out``, whose memory does not grow with them."""
    with connect("The split", memory_limit=_MEMORY_LIMIT) as engine:
        engine.execute(f"CREATE VIEW rows AS FROM {stored(rows)}")
        if held_out is not None:
            engine.execute(f"CREATE VIEW held_out AS FROM {stored(held_out)}")
        yield engine


def _time_scale(parquet: str, column: str) -> TimeScale:
    with _reading(parquet) as engine:
        kind = engine.execute(f"SELECT {name(column)} FROM rows LIMIT 0").description[0][1]
        text = str(kind)
        if not text.startswith(("TIMESTAMP", "DATE")):
            raise DataError(
                f"The time split needs dates or timestamps in {column!r}; found type {text}. Nothing was split. Cast "
                f"it in data.features, or fix the source."
            )
        unit = "ns" if text == "TIMESTAMP_NS" else "us"
        moment = _moment(column, unit)
        low, high, n_rows, n_known = engine.execute(
            f"SELECT min({moment}), max({moment}), count(*), count({name(column)}) FROM rows"
        ).fetchall()[0]
    if not n_known:
        raise DataError(
            f"The time split needs dates or timestamps in {column!r}, and at least one row that has one; found "
            f"{n_rows} rows without. Nothing was split."
        )
    if n_known < n_rows:
        raise DataError(
            f"The time split needs a timestamp in every row; {column!r} is null in {n_rows - n_known} of {n_rows} rows "
            f"to train on. Nothing was split. Leave those rows out in data.features, or fix the source."
        )
    return TimeScale(unit=unit, low=low, high=high, n_rows=n_rows)


def _moment(column: str, unit: str) -> str:
    return f"epoch_{unit}({name(column)})"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(name(column) for column in columns)
