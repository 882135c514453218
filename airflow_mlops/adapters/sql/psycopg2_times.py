"""psycopg2: dates and times that Python has no name for are refused, where the driver would make others of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extensions as driver  # type: ignore[import-untyped]

__all__ = ["strict_times"]

# OIDs of date, timestamp and timestamptz, and of arrays of them.
_ARRAYS = {1082: 1182, 1114: 1115, 1184: 1185}


@contextlib.contextmanager
def strict_times(connection: Any) -> Iterator[None]:
    """Refuse, on a connection of psycopg2's, what lies outside of the years 1 to 9999.

    The driver makes the year 9999 of ``infinity``, and raises a bare ``ValueError`` for years before and after those.

    :raises psycopg2.DataError: while such a value is fetched.
    """
    before = dict(connection.string_types)
    for kind, array in _ARRAYS.items():
        name = f"STRICT{kind}"
        reader = driver.new_type((kind,), name, _strict(driver.string_types[kind]))
        driver.register_type(reader, connection)
        driver.register_type(driver.new_array_type((array,), f"{name}ARRAY", reader), connection)
    try:
        yield
    finally:
        connection.string_types.clear()
        connection.string_types.update(before)


def _strict(read: Callable[[str | None, Any], Any]) -> Callable[[str | None, Any], Any]:
    def strict(text: str | None, cursor: Any) -> Any:
        if text is not None and text.endswith("y"):  # infinity, -infinity
            raise _beyond(text)
        try:
            return read(text, cursor)
        except (ValueError, OverflowError) as error:
            raise _beyond(str(text)) from error

    return strict


def _beyond(text: str) -> psycopg2.DataError:
    return psycopg2.DataError(f"the date or time {text!r} lies outside of the years 1 to 9999 (too large or too small)")
