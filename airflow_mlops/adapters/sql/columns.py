"""Columns: the Arrow type that a database's values become, and the values as arrays of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

__all__ = ["STRING", "ColumnKind", "MisfitError", "postgres_kind", "text_moment_kind", "to_array", "value_kind"]


class MisfitError(Exception):
    """A value does not fit its column.

    :param index: its row, counted from 0 in the values that were given.
    """

    def __init__(self, index: int, value: object) -> None:
        super().__init__(index, value)
        self.index = index
        self.value = value


@dataclass(frozen=True, kw_only=True)
class ColumnKind:
    """What a column is read as.

    Arrow alone is too generous: it cuts 1.5 to the integer 1, and a time to its day.

    :param accepts: the Python types that may come; ``None``: any.
    :param native: the Python types that Arrow takes as they are.
    :param convert: makes the others fit.
    """

    type: pa.DataType
    accepts: frozenset[type] | None
    native: frozenset[type]
    convert: Callable[[Any], Any] | None = None


def to_array(values: Sequence[Any], kind: ColumnKind) -> pa.Array:
    """Return the values as an array.

    :raises MisfitError: when one of them does not fit.
    """
    found = set(map(type, values)) - {type(None)}
    if kind.accepts is not None and not found <= kind.accepts:
        index = next(at for at, value in enumerate(values) if value is not None and type(value) not in kind.accepts)
        raise MisfitError(index, values[index])
    convert = kind.convert if found - kind.native else None
    try:
        return _convert(values, kind.type, convert)
    except _UNFIT as error:
        index = _first_unfit(values, kind.type, convert)
        raise MisfitError(index, values[index]) from error


def value_kind(values: Sequence[Any]) -> ColumnKind | None:
    """Return what a column is read as whose database does not say; ``None``: all values are null.

    :raises MisfitError: when a value is of a type that no column can be read as, such as an interval.
    """
    found = set(map(type, values)) - {type(None)}
    if not found:
        return None
    if found <= {int, float, Decimal}:
        return _INT64 if found == {int} else _FLOAT64
    index, first = next((at, value) for at, value in enumerate(values) if value is not None)
    if isinstance(first, datetime):
        return _MOMENT if first.tzinfo is None else _MOMENT_UTC
    if type(first) not in _BY_VALUE:
        raise MisfitError(index, first)
    return _BY_VALUE[type(first)]


def text_moment_kind(text: str) -> ColumnKind | None:
    """Return what a column of times is read as whose database keeps them as text, by its first value.

    Texts without a time zone are in UTC: a column may have both kinds, and is read as its first value is.

    :returns: ``None`` when the text is no time, as ISO 8601 and SQLite write it.
    """
    try:
        moment = _read_moment(text)
    except ValueError:
        return None
    return _TEXT_MOMENT if moment.tzinfo is None else _TEXT_MOMENT_UTC


def postgres_kind(type_code: int, precision: int | None, scale: int | None) -> ColumnKind | None:
    """Return what a column of PostgreSQL is read as, by its type's OID; ``None``: it can't be read.

    ``numeric`` becomes float64, or int64 where it is declared without decimals and with at most 18 digits. An
    integer that a double would change is a misfit then.
    What is no number, time or array of such (JSON, UUID, enumerations, networks, geometries) becomes text.
    """
    if type_code == _NUMERIC and scale == 0 and precision is not None and precision <= _INT64_DIGITS:
        return _WHOLE_NUMERIC
    if type_code in _UNREADABLE:
        return None
    if type_code in _POSTGRES_ARRAYS:
        return _array_of(_POSTGRES[_POSTGRES_ARRAYS[type_code]])
    return _POSTGRES.get(type_code, _TEXT)


def _convert(values: Sequence[Any], kind: pa.DataType, convert: Callable[[Any], Any] | None) -> pa.Array:
    if convert:
        values = [None if value is None else convert(value) for value in values]
    return pa.array(values, kind)


def _first_unfit(values: Sequence[Any], kind: pa.DataType, convert: Callable[[Any], Any] | None) -> int:
    for index, value in enumerate(values):
        try:
            _convert([value], kind, convert)
        except _UNFIT:
            return index
    return 0


def _whole(value: Decimal) -> int:
    if value != value.to_integral_value():
        raise ValueError(value)
    return int(value)  # NaN and infinity raise


def _double(value: float | Decimal) -> float:
    """Return the double of a number, as long as it has room for it and an integer does not become another one."""
    made = float(value)
    if abs(made) >= _INEXACT and made != value and (math.isinf(made) or value == int(value)):
        raise ValueError(value)
    return made


def _without_zone(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError(value)
    return value


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(value)
    return value


def _read_moment(text: str) -> datetime:
    if not _DAY.match(text):  # to Python 20260101 is a day, to SQLite a number of days
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _read_without_zone(text: str) -> datetime:
    return _read_with_zone(text).replace(tzinfo=None)


def _read_with_zone(text: str) -> datetime:
    moment = _read_moment(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _time_of_day(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError(value)
    return value


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _array_of(item: ColumnKind) -> ColumnKind:
    def convert(values: list[Any]) -> list[Any]:
        made: list[Any] = to_array(values, item).to_pylist()  # an array of arrays is a misfit
        return made

    accepts = frozenset({list})
    return ColumnKind(type=pa.list_(item.type), accepts=accepts, native=frozenset(), convert=convert)


def _plain(kind: pa.DataType, *types: type) -> ColumnKind:
    return ColumnKind(type=kind, accepts=frozenset(types), native=frozenset(types))


_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INEXACT = 2**53  # below it a double holds every integer
_UNFIT = (pa.ArrowException, ArithmeticError, MisfitError, TypeError, ValueError)

_TEXT = ColumnKind(type=pa.string(), accepts=None, native=frozenset({str}), convert=_text)

_BOOL = _plain(pa.bool_(), bool)
_INT64 = _plain(pa.int64(), int)
_FLOAT64 = ColumnKind(
    type=pa.float64(), accepts=frozenset({int, float, Decimal}), native=frozenset({float}), convert=_double
)
_WHOLE_NUMERIC = ColumnKind(type=pa.int64(), accepts=frozenset({Decimal}), native=frozenset(), convert=_whole)
_BINARY = _plain(pa.binary(), bytes, bytearray, memoryview)
_DATE = _plain(pa.date32(), date)
_TIME = ColumnKind(type=pa.time64("us"), accepts=frozenset({time}), native=frozenset(), convert=_time_of_day)
_MOMENT = ColumnKind(type=pa.timestamp("us"), accepts=frozenset({datetime}), native=frozenset(), convert=_without_zone)
_MOMENT_UTC = ColumnKind(
    type=pa.timestamp("us", "UTC"), accepts=frozenset({datetime}), native=frozenset(), convert=_with_zone
)
_TEXT_MOMENT = ColumnKind(
    type=pa.timestamp("us"), accepts=frozenset({str}), native=frozenset(), convert=_read_without_zone
)
_TEXT_MOMENT_UTC = ColumnKind(
    type=pa.timestamp("us", "UTC"), accepts=frozenset({str}), native=frozenset(), convert=_read_with_zone
)
STRING = _plain(pa.string(), str)
_UUID = ColumnKind(type=pa.string(), accepts=frozenset({UUID}), native=frozenset(), convert=str)

_BY_VALUE: dict[type, ColumnKind] = {
    bool: _BOOL,
    bytearray: _BINARY,
    bytes: _BINARY,
    date: _DATE,
    memoryview: _BINARY,
    str: STRING,
    time: _TIME,
    UUID: _UUID,
}

# OIDs of pg_type; they are part of PostgreSQL's wire protocol and do not change.
_NUMERIC = 1700
_INT64_DIGITS = 18
_UNREADABLE = {1186, 1266, 1187, 1270}  # interval, time with time zone, and arrays of them
_POSTGRES: dict[int, ColumnKind] = {
    16: _BOOL,
    17: _BINARY,
    20: _INT64,
    21: _plain(pa.int16(), int),
    23: _plain(pa.int32(), int),
    25: _TEXT,
    26: _INT64,  # oid
    700: ColumnKind(type=pa.float32(), accepts=frozenset({float}), native=frozenset({float})),
    701: _FLOAT64,
    1082: _DATE,
    1083: _TIME,
    1114: _MOMENT,
    1184: _MOMENT_UTC,
    _NUMERIC: _FLOAT64,
}
_POSTGRES_ARRAYS = {
    1000: 16,
    1001: 17,
    1003: 25,  # name[]
    1005: 21,
    1007: 23,
    1009: 25,
    1014: 25,  # char(n)[]
    1015: 25,  # varchar[]
    1016: 20,
    1021: 700,
    1022: 701,
    1115: 1114,
    1182: 1082,
    1183: 1083,
    1185: 1184,
    1231: _NUMERIC,
    2951: 25,  # uuid[]
}
