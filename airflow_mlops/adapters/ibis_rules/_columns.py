"""What an engine can be told about a column: its kind, where it is missing, literals that fit it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import ibis
import pyarrow as pa

from airflow_mlops.errors import bounded, did_you_mean

__all__ = [
    "NUMBERS",
    "POSITION",
    "CantBeAnsweredError",
    "CantBeCheckedError",
    "Kind",
    "Rows",
    "literals_of",
    "moment",
    "number",
    "shown",
]

POSITION = "position of the row in the file"
"""A column that the engine adds to the rows."""

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


class CantBeAnsweredError(Exception):
    """The engine can't answer this: it is for Great Expectations."""


class CantBeCheckedError(Exception):
    """Nobody can check this: the reason is the message."""


class Kind(StrEnum):
    """What a column holds, as far as rules differ by it."""

    INTEGER = "integers"
    FLOAT = "floats"
    TEXT = "text"
    BOOLEAN = "booleans"
    DATE = "dates"
    TIMESTAMP = "timestamps"
    ZONED_TIMESTAMP = "timestamps with a time zone"
    OTHER = "something else"


NUMBERS = (Kind.INTEGER, Kind.FLOAT)


@dataclass(frozen=True)
class Rows:
    """The rows as an Ibis table, with the kind of each of its columns."""

    table: Any
    kinds: Mapping[str, Kind]
    schema: pa.Schema

    @classmethod
    def of(cls, schema: pa.Schema) -> Rows:
        """Describe the table ``rows`` that has this schema."""
        alike = Counter(name.lower() for name in schema.names)
        kinds, types = {}, {}
        for field in schema:
            kind, name = _kind_of(field.type)
            # An engine does not tell `a` from `A`.
            kinds[field.name] = kind if alike[field.name.lower()] == 1 else Kind.OTHER
            types[field.name] = name
        types[POSITION] = "int64"
        return cls(table=ibis.table(types, name="rows"), kinds=kinds, schema=schema)

    def kind_of(self, name: object, *wanted: Kind) -> Kind:
        """Return a column's kind.

        :param wanted: the kinds that the engine's answer is the same for as that of Great Expectations; none: any.
        :raises CantBeCheckedError: when there is no such column.
        :raises CantBeAnsweredError: when it is of another kind than those that are wanted.
        """
        if not isinstance(name, str) or name not in self.kinds:
            hint = did_you_mean(str(name), self.kinds)
            raise CantBeCheckedError(f"there is no column {name!r}.{hint} Columns: {bounded(self.kinds)}")
        if [other.lower() for other in self.kinds].count(name.lower()) > 1:
            raise CantBeAnsweredError(f"more than one column is named like {name!r}")
        if wanted and self.kinds[name] not in wanted:
            raise CantBeAnsweredError(f"column {name!r} holds {self.kinds[name]}")
        return self.kinds[name]

    def missing(self, name: str) -> Any:
        """Where a column has no value. NaN is not NULL in an engine, but it is as little a value."""
        column = self.table[name]
        return column.isnull() | column.isnan() if self.kinds[name] is Kind.FLOAT else column.isnull()

    def present(self, names: Iterable[str]) -> Any:
        """Where none of the columns is missing."""
        return ibis.and_(*[~self.missing(name) for name in names])


def literals_of(values: object, kind: Kind) -> tuple[Sequence[Any], int]:
    """Return a rule's set of values as literals that a column of this kind may hold.

    :returns: the literals, and how many values of the set the column can't hold at all.
    :raises CantBeAnsweredError: when it is no plain list of values.
    """
    if not isinstance(values, list | tuple) or kind not in (*NUMBERS, Kind.TEXT, Kind.BOOLEAN):
        raise CantBeAnsweredError("it is no list of texts, numbers or booleans")
    if not all(isinstance(value, str | int | float) for value in values):
        raise CantBeAnsweredError("the set holds something else than texts, numbers and booleans")
    if kind is Kind.BOOLEAN and not all(isinstance(value, bool) for value in values):
        raise CantBeAnsweredError("the set of a boolean column holds other values")
    if kind is not Kind.BOOLEAN and any(isinstance(value, bool) for value in values):
        raise CantBeAnsweredError("booleans count as numbers in Python")
    if kind is Kind.BOOLEAN:
        return [ibis.literal(value) for value in sorted(set(values))], 0
    if kind is Kind.TEXT:
        texts = {text(value) for value in values if isinstance(value, str)}
        return [ibis.literal(value) for value in sorted(texts)], len(set(values)) - len(texts)
    numbers = {value for value in values if not isinstance(value, str)}
    if any(math.isnan(value) for value in numbers):
        raise CantBeAnsweredError("NaN equals nothing")
    fitting = {value for value in numbers if kind is Kind.FLOAT or _is_whole(value)}
    as_type = "float64" if kind is Kind.FLOAT else "int64"
    convert = float if kind is Kind.FLOAT else int
    return [ibis.literal(convert(v), as_type) for v in sorted(fitting)], len(set(values)) - len(fitting)


def text(value: str) -> str:
    """Return a text that SQL can hold.

    :raises CantBeAnsweredError: when it can't.
    """
    if "\x00" in value:
        raise CantBeAnsweredError("SQL has no NUL characters")
    return value


def number(value: object) -> Any:
    """Return a number as a literal.

    :raises CantBeAnsweredError: when it is no number, or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise CantBeAnsweredError(f"{value!r} is no number")
    if isinstance(value, int) and _SMALLEST <= value <= _LARGEST:
        return ibis.literal(value, "int64")
    return ibis.literal(float(value), "float64")


def moment(value: object, kind: Kind) -> datetime:
    """Return a bound of dates or timestamps.

    :raises CantBeAnsweredError: when it is no ISO date or timestamp, or has a zone where the column has none.
    """
    if not isinstance(value, str) or not _ISO.fullmatch(value):
        raise CantBeAnsweredError(f"{value!r} is no ISO timestamp")
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise CantBeAnsweredError(f"{value!r} is no timestamp") from error
    if (found.tzinfo is not None) != (kind is Kind.ZONED_TIMESTAMP):
        raise CantBeAnsweredError("a time with a time zone can't be compared with one without")
    return found.astimezone(UTC) if found.tzinfo else found


def shown(value: object, limit: int = 80) -> str:
    """Return a value as a text of bounded length."""
    return str(value)[:limit]


def _is_whole(value: float) -> bool:
    return math.isfinite(value) and value == int(value) and _SMALLEST <= value <= _LARGEST


def _kind_of(kind: pa.DataType) -> tuple[Kind, str]:
    """Return the kind, and the type in Ibis' words."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return Kind.INTEGER, str(kind)
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return Kind.FLOAT, "float32" if pa.types.is_float32(kind) else "float64"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Kind.TEXT, "string"
    if pa.types.is_boolean(kind):
        return Kind.BOOLEAN, "boolean"
    if pa.types.is_date32(kind):
        return Kind.DATE, "date"
    if pa.types.is_timestamp(kind):
        scale = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
        if kind.tz:
            return Kind.ZONED_TIMESTAMP, f"timestamp('UTC', {scale})"
        return Kind.TIMESTAMP, f"timestamp({scale})"
    return Kind.OTHER, "binary"  # only asked whether it is NULL
