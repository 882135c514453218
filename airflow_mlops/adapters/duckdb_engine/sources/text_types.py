"""DuckDB: what type the values of a text column are of, and how they are read as it without misreading one.

The engine's own casts are lenient: ``1.5`` as an integer is 2, ``2023_01`` is 202301, ``1e400`` is infinite, a date
and time as a date loses the time, and ``+01:00`` after a time is dropped. So each kind has a pattern, and what does
not fit raises, with a mark. Two things are cut, because their types hold no more: digits after the decimal sign beyond
what a double has, and a time's digits below the microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from airflow_mlops.adapters.duckdb_engine._engine import literal
from airflow_mlops.errors import DataError, SpecError, did_you_mean
from airflow_mlops.specs.data import CsvSpec

__all__ = [
    "Reading",
    "check_format",
    "counts_of",
    "find_misfit",
    "misfit_column",
    "mixed_zones",
    "one_row",
    "reading_as",
    "reading_of",
]

_N_MISFITS = 3
_MARK = "does not fit column "
_DAY = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[ T]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
_DATE = _DAY
_NAIVE = f"{_DAY}({_TIME})?"
_ZONED = rf"{_DAY}{_TIME} ?(Z|[+-]\d{{2}}(:?\d{{2}})?)"
_EXACT = "9007199254740992"  # 2 ** 53: below it a double holds every integer
_NO_FINITE = r"\s*[+-]?(?i:inf|infinity|nan)\s*"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a column is read.

    :param parsed_as: the type that the engine's parser makes of the text.
    :param is_time: whether the values are dates or times.
    :param cast: SQL that pattern and conversion both begin with, as ``{1}``: it is to be computed once.
    :param pattern: what is to be seen in a value before it is converted; ``None``: nothing.
    :param converted: SQL that makes the value; null where it can't. ``None``: it stays text.
    """

    column: str
    parsed_as: str = "VARCHAR"
    is_time: bool = False
    cast: str | None = None
    pattern: str | None = None
    converted: str | None = None

    def sql(self, value: str, cast: str = "") -> str:
        """Return SQL that gives the value, or raises where it is not one.

        :param value: SQL of the text.
        :param cast: SQL of what :meth:`cast_sql` gave, where it is needed.
        """
        if self.converted is None:
            return value
        # Null stays null, a value that fits is converted, all else raises with the column's name. Pattern before
        # conversion, as the engine's casts would take more than the pattern does; what they make null of raises too.
        error = f"error({literal(_MARK + self.column)})"
        made = f"coalesce({_filled(self.converted, value, cast)}, {error})"
        if self.pattern is not None:
            made = f"CASE WHEN {_filled(self.pattern, value, cast)} THEN {made} ELSE {error} END"
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE {made} END"

    def cast_sql(self, value: str) -> str | None:
        """Return SQL that pattern and conversion both begin with, where there is such."""
        return None if self.cast is None else _filled(self.cast, value)

    def misfits(self, value: str) -> str:
        """Return SQL that is true for values that :meth:`sql` would raise at."""
        fits = f"{self.converted or '{0}'} IS NOT NULL" + (f" AND {self.pattern}" if self.pattern else "")
        return _filled(f"({{0}} IS NOT NULL AND NOT ({fits}))", value, self.cast_sql(value) or "")


def _filled(sql: str, value: str, cast: str = "") -> str:
    return re.sub(r"\{[01]\}", lambda place: value if place[0] == "{0}" else cast, sql)


def misfit_column(message: str) -> str | None:
    """Return the column that an engine's error is about, when the error is a :class:`Reading`'s."""
    _, mark, column = message.partition(_MARK)
    return column.split("\n")[0] if mark else None


@dataclass(frozen=True, kw_only=True)
class _Counts:
    n: int
    integer: int = 0
    exact: int = 0
    big: int = 0
    number: int = 0
    boolean: int = 0
    date: int = 0
    naive: int = 0
    zoned: int = 0
    formatted: int = 0


def one_row(connection: duckdb.DuckDBPyConnection, rows: str, aggregates: Sequence[str]) -> tuple[Any, ...]:
    """Return what aggregates are over the rows of a query."""
    found: tuple[Any, ...] = connection.execute(f"SELECT {', '.join(aggregates)} FROM ({rows})").fetchall()[0]
    return found


def counts_of(value: str, example: str | None, settings: CsvSpec) -> str:
    """Return SQL that counts, for a text column, how many of its values are of which type.

    :param example: one of its values. Only types that it may be of are looked for, as all values have to be.
    """
    # A type counts only if all values are of it, so one value rules out most: the others are not even tried.
    parts = {"n": "count({0})"}
    if settings.timestamp_format is not None:
        parts["formatted"] = f"count(try_strptime({{0}}, {literal(settings.timestamp_format)}))"
    if example is None:
        parts["formatted"] = "0"
    elif re.match(r"\d{4}-", example):
        parts["date"] = f"count_if({_matches(_DATE)} AND TRY_CAST({{0}} AS DATE) IS NOT NULL)"
        parts["naive"] = f"count_if({_matches(_NAIVE)} AND TRY_CAST({{0}} AS TIMESTAMP) IS NOT NULL)"
        parts["zoned"] = f"count_if({_matches(_ZONED)} AND TRY_CAST({{0}} AS TIMESTAMPTZ) IS NOT NULL)"
    elif re.match(r"\s*[+-]?([.,]?\d|inf|nan)", example, re.IGNORECASE):
        parts |= _counts_of_numbers(settings)
    elif example.lower() in ("true", "false"):
        parts["boolean"] = "count_if(lower({0}) IN ('true', 'false'))"
    fields = ", ".join(f"{key} := {sql}" for key, sql in parts.items())
    return f"struct_pack({fields})".replace("{0}", value)


def _counts_of_numbers(settings: CsvSpec) -> dict[str, str]:
    number = _number(settings)
    double = f"TRY_CAST({number} AS DOUBLE)"
    return {
        "number": f"count_if({_is_floating('DOUBLE', settings)})".replace("{1}", double),
        "integer": f"count_if({_integer_pattern(settings)})",
        "exact": f"count_if(abs({double}) < {_EXACT})",
        "big": f"count_if(TRY_CAST({number} AS BIGINT) IS NOT NULL)",
    }


def reading_of(
    column: str, counted: Mapping[str, int], settings: CsvSpec, *, is_parsed: bool = False
) -> tuple[Reading, bool]:
    """Decide how a column is read, from what :func:`counts_of` found.

    :param is_parsed: whether the engine's parser may make the numbers, because no value has an underscore. What a
        double holds only about is a misfit then, and has to be looked at as text.
    :returns: the reading, and whether the column mixes times with a time zone with others without one.
    """
    counts = _Counts(**counted)
    # The types from the strictest reading to text; the cheaper reading of two that give the same value.
    kind = _kind(counts)
    is_mixed = bool(counts.zoned and counts.naive)
    if kind == "EMPTY":
        # The first value that is there raises, so that all of them are looked at.
        return Reading(column=column, converted="NULL::VARCHAR"), is_mixed
    if kind == "TEXT":
        return Reading(column=column), is_mixed
    if kind == "FORMATTED":
        return _formatted(column, settings.timestamp_format or ""), is_mixed
    if is_parsed and not _is_local(settings) and kind in ("INTEGER", "DOUBLE") and counts.exact == counts.n:
        return _parsed(column, kind), is_mixed
    # Below 2 ** 53 a double tells whole numbers exactly, so that no regular expression is needed.
    if kind == "INTEGER" and not _is_local(settings):
        return _small_integer(column), is_mixed
    return _converted(column, "BIGINT" if kind == "INTEGER" else kind, settings), is_mixed


def mixed_zones(subject: str, column: str, counted: Mapping[str, int]) -> DataError:
    """Return what is wrong with a timestamp column that has times with a time zone and others without one."""
    return DataError(
        f"{subject}: the timestamp column {column!r} has {counted['zoned']} value(s) with a time zone and "
        f"{counted['naive']} without one, so it is not known which times those mean. Nothing was kept. Deliver one "
        f"form, best with +00:00 or Z."
    )


def reading_as(connection: duckdb.DuckDBPyConnection, column: str, wanted: str, settings: CsvSpec) -> Reading:
    """Return how a column is read as the type that the user set.

    :raises SpecError: when there is no such type.
    """
    if not re.fullmatch(r"[A-Za-z_][\w ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?", wanted):
        raise SpecError(f"csv.types: {wanted!r} of column {column!r} is no type. Give one such as VARCHAR or DOUBLE.")
    try:
        # The engine knows its own types and their synonyms best; the pattern above kept anything else out of the SQL.
        kind = str(connection.sql(f"SELECT NULL::{wanted} AS value").types[0])
    except duckdb.Error as error:
        known = ("VARCHAR", "DOUBLE", "BIGINT", "INTEGER", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ")
        raise SpecError(
            f"csv.types: {wanted!r} of column {column!r} is no type of DuckDB.{did_you_mean(wanted.upper(), known)}"
        ) from error
    if kind == "VARCHAR":
        return Reading(column=column)
    if settings.timestamp_format and kind.startswith(("TIMESTAMP", "DATE")):
        return _formatted(column, settings.timestamp_format, kind)
    return _converted(column, kind, settings)


def check_format(connection: duckdb.DuckDBPyConnection, settings: CsvSpec) -> None:
    """Refuse a ``csv.timestamp_format`` that the engine does not know.

    :raises SpecError: naming it.
    """
    if settings.timestamp_format is None:
        return
    try:
        connection.execute(f"SELECT try_strptime('', {literal(settings.timestamp_format)})").fetchall()
    except duckdb.Error as error:
        raise SpecError(
            f"csv.timestamp_format {settings.timestamp_format!r} can't be used: {str(error).splitlines()[0]}. Write it "
            f"in the directives of strptime, such as %d.%m.%Y %H:%M."
        ) from error


def find_misfit(
    connection: duckdb.DuckDBPyConnection, rows: str, reading: Reading, value: str
) -> list[tuple[int, str]]:
    """Return the number of the row and the text of values that a reading raises at."""
    # Numbered before the filter, in the order of the file, so that the number leads to the line.
    numbered = f"SELECT row_number() OVER () AS number, {value}::VARCHAR AS text FROM {rows}"
    found = connection.execute(
        f"SELECT number, text FROM ({numbered}) WHERE {reading.misfits('text')} ORDER BY number LIMIT {_N_MISFITS}"
    ).fetchall()
    return [(int(number), str(text)[:80]) for number, text in found]


def _kind(counts: _Counts) -> str:
    n = counts.n
    if n == 0:
        return "EMPTY"
    if counts.integer == n:
        # Whole numbers that no integer holds are names rather than numbers, and a double would change them.
        return "INTEGER" if counts.exact == n else "BIGINT" if counts.big == n else "TEXT"
    # The first type that all values are of; a date is a timestamp too, so the narrower one stands first.
    kinds: Sequence[tuple[str, int]] = (
        ("DOUBLE", counts.number),
        ("BOOLEAN", counts.boolean),
        ("DATE", counts.date),
        ("TIMESTAMP", counts.naive),
        ("TIMESTAMP WITH TIME ZONE", counts.zoned),
        ("FORMATTED", counts.formatted),
    )
    return next((kind for kind, found in kinds if found == n), "TEXT")


def _parsed(column: str, kind: str) -> Reading:
    """Return the fastest reading: the parser makes doubles, whole ones become integers."""
    is_held = f"abs({{0}}) < {_EXACT}"  # neither infinite nor NaN
    if kind == "DOUBLE":
        return Reading(column=column, parsed_as="DOUBLE", pattern=is_held, converted="{0}")
    whole = f"{{0}} = trunc({{0}}) AND {is_held}"
    return Reading(column=column, parsed_as="DOUBLE", pattern=whole, converted="CAST({0} AS BIGINT)")


def _small_integer(column: str) -> Reading:
    """Return the fast reading of integers that a double holds: a cast costs less than a regular expression."""
    is_whole = f"NOT contains({{0}}, '_') AND {{1}} = trunc({{1}}) AND abs({{1}}) < {_EXACT}"
    cast = "TRY_CAST({0} AS DOUBLE)"
    return Reading(column=column, cast=cast, pattern=is_whole, converted="TRY_CAST({1} AS BIGINT)")


def _converted(column: str, kind: str, settings: CsvSpec) -> Reading:
    if kind == "BOOLEAN":
        return Reading(column=column, pattern="lower({0}) IN ('true', 'false')", converted="lower({0}) = 'true'")
    if kind in ("DOUBLE", "FLOAT"):
        cast = f"TRY_CAST({_number(settings)} AS {kind})"
        return Reading(column=column, cast=cast, pattern=_is_floating(kind, settings), converted="{1}")
    value, pattern = "{0}", None
    if kind in _INTEGERS:
        value, pattern = _number(settings), _integer_pattern(settings)
    elif kind.startswith("DECIMAL"):
        value, pattern = _number(settings), _number_pattern(settings)
    elif kind == "DATE":
        pattern = _matches(_DATE)
    elif kind.startswith("TIMESTAMP"):
        pattern = _matches(_ZONED if "ZONE" in kind else _NAIVE)
    is_time = kind.startswith(("DATE", "TIMESTAMP"))
    return Reading(column=column, is_time=is_time, pattern=pattern, converted=f"TRY_CAST({value} AS {kind})")


def _formatted(column: str, form: str, kind: str | None = None) -> Reading:
    if kind is None:
        # The format says by itself whether its values have a time of day, and a zone.
        directives = set(re.findall(r"%-?([A-Za-z])", form))
        kind = "TIMESTAMP" if directives & set("HIMSfpcXns") else "DATE"
        kind = "TIMESTAMP WITH TIME ZONE" if directives & set("zZ") else kind
    return Reading(column=column, converted=f"try_strptime({{0}}, {literal(form)})::{kind}")


def _matches(pattern: str) -> str:
    return f"regexp_full_match({{0}}, {literal(pattern)})"


def _is_local(settings: CsvSpec) -> bool:
    return settings.decimal != "." or settings.thousands is not None


def _digits(settings: CsvSpec) -> str:
    # Groups of exactly three digits: 1.23 with a thousands point is a mistake, not 123.
    grouped = rf"|\d{{1,3}}([{re.escape(settings.thousands)}]\d{{3}})+" if settings.thousands else ""
    return rf"(\d+{grouped})"


def _integer_pattern(settings: CsvSpec) -> str:
    return _matches(rf"\s*[+-]?{_digits(settings)}\s*")


def _number_pattern(settings: CsvSpec) -> str:
    sign = re.escape(settings.decimal)
    plain = rf"({_digits(settings)}({sign}\d*)?|{sign}\d+)"
    return _matches(rf"\s*[+-]?{plain}([eE][+-]?\d+)?\s*|{_NO_FINITE}")


def _is_floating(kind: str, settings: CsvSpec) -> str:
    """Return SQL that is true for text that is a number, and one that stays what it is as a double or a float, ``{1}``.

    Infinity has to be written so, and an integer that a double would change is not one.
    """
    # Of what the engine takes for a number only the underscore is none elsewhere, and to look for it is fast.
    pattern = _number_pattern(settings) if _is_local(settings) else "NOT contains({0}, '_')"
    # 1e400 parses as infinity, which was not written; the word for it is let through by its own pattern.
    is_kept = "isfinite({1})"
    if kind == "DOUBLE":
        # Long whole numbers are keys rather than measurements: the double has to give the same integer back.
        is_same = f"coalesce(TRY_CAST({_number(settings)} AS HUGEINT) = TRY_CAST({{1}} AS HUGEINT), false)"
        is_kept += f" AND (NOT {_integer_pattern(settings)} OR {is_same})"
    return f"({pattern} AND (abs({{1}}) < {_EXACT} OR ({is_kept}) OR {_matches(_NO_FINITE)}))"


def _number(settings: CsvSpec) -> str:
    value = "{0}"
    if settings.thousands:
        value = f"replace({value}, {literal(settings.thousands)}, '')"
    return f"replace({value}, {literal(settings.decimal)}, '.')" if settings.decimal != "." else value
