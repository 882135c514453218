"""A function of the user's as a source: what it gives as a stream of Arrow batches."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_mlops.adapters.user_code.load import load_object
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, MlopsError, SpecError, UnavailableError, bounded, did_you_mean

__all__ = ["call_source"]

_BATCH_ROWS = 65_536
_END = object()
_HARMLESS = 3
_EXPECTED = "a pandas data frame, an Arrow table, batch or reader, or an iterable of such pieces"


@dataclass(frozen=True, kw_only=True)
class _Call:
    """The function that is called, as messages speak of it: they don't tell the values of its parameters."""

    function: str
    params: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"The function {self.function!r}"

    def said(self, error: Exception, limit: int = 300) -> str:
        text = str(error)
        for secret in sorted(set(_texts(self.params)), key=len, reverse=True):
            for form in {secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}:
                text = text.replace(form, "***")
        return text if len(text) <= limit else f"{text[:limit]}…"


def _texts(value: object) -> Iterator[str]:
    """Give the values among parameters that are long enough to be a secret, as text."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
    elif not isinstance(value, (bool, BaseException)) and value is not None and len(str(value)) > _HARMLESS:
        yield str(value)


@contextlib.contextmanager
def call_source(
    function: str, params: Mapping[str, Any], *, timestamp: str | None, window: Window
) -> Iterator[pa.RecordBatchReader]:
    """Call the user's ``load(window_start, window_end, **params)`` and stream what it gives.

    It may give a pandas data frame, an Arrow table, batch or reader, anything else that speaks Arrow's C
    stream interface (polars), or an iterable of such pieces, which is read piece by piece; the columns and
    types of the first piece are those of all. The window is applied to the rows in any case; rows whose
    timestamp is null, or is text that is no timestamp, stay in.

    Of a data frame, NaN is a missing value, named indexes become columns, and an unnamed index of whole
    numbers is left out. A column of the first piece that is all null is taken as text; categories are kept
    as their values.

    :param function: its import path.
    :param window: its times are given to the function in UTC; ``None`` stands for no bound.
    :raises SpecError: when there is no such function, or it does not take the parameters.
    :raises DataError: when it raises, or gives what can't be used, also while the rows are read.
    :raises UnavailableError: when it raises ``ConnectionError`` or ``TimeoutError``.
    """
    call = _Call(function=function, params=params)
    load = load_object(function)
    if not callable(load):
        raise SpecError(f"data.function {function!r} is {type(load).__name__}; a function was expected.")
    with _translated(call):
        given = load(window.start, window.end, **params)
    pieces = _pieces(given, call)
    first = next(pieces, None)
    if first is None:
        raise DataError(
            f"{call.subject} gave no piece of data at all; {_EXPECTED} was expected. Nothing was kept and the "
            f"champion stays."
        )
    schema = _schema_of(first, call, timestamp, window)
    try:
        yield pa.RecordBatchReader.from_batches(schema, _batches(first, pieces, schema, call, timestamp, window))
    finally:
        pieces.close()
        if hasattr(given, "close"):  # a generator or a reader that was not read to its end
            with _translated(call):
                given.close()


def _batches(
    first: pa.Table,
    rest: Iterator[pa.Table],
    schema: pa.Schema,
    call: _Call,
    timestamp: str | None,
    window: Window,
) -> Iterator[pa.RecordBatch]:
    piece: pa.Table | None = first
    number = 1
    while piece is not None:
        table = _fitted(piece, schema, number, call)
        if timestamp is not None and not window.is_open:
            table = table.filter(_in_window(table.column(timestamp), window))
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)
        piece, number = next(rest, None), number + 1


def _pieces(given: Any, call: _Call) -> Generator[pa.Table, None, None]:
    """Give tables, whatever the function gave."""
    whole = _tables(given, call)
    if whole is not None:
        yield from whole
        return
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise DataError(f"{call.subject} gave {_described(given)}; {_EXPECTED} was expected. Nothing was kept.")
    with _translated(call):
        iterator = iter(given)
    number = 0
    while True:
        number += 1
        with _translated(call):
            piece = next(iterator, _END)
        if piece is _END:
            return
        tables = _tables(piece, call)
        if tables is None:
            raise DataError(
                f"{call.subject} gave {_described(piece)} as piece {number}; a pandas data frame, an Arrow table "
                f"or batch was expected. Nothing was kept."
            )
        yield from tables


def _tables(piece: Any, call: _Call) -> Iterator[pa.Table] | None:
    if isinstance(piece, pd.DataFrame):
        return iter([_from_pandas(piece, call)])
    if isinstance(piece, pa.Table):
        return iter([piece])
    if isinstance(piece, pa.RecordBatch):
        return iter([pa.Table.from_batches([piece])])
    if isinstance(piece, pd.Series | pd.Index) or not hasattr(piece, "__arrow_c_stream__"):
        return None
    return _from_reader(piece, call)


def _from_reader(piece: Any, call: _Call) -> Iterator[pa.Table]:
    with _translated(call):
        reader = piece if isinstance(piece, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(piece)
    empty = True
    while True:
        with _translated(call):
            batch = next(reader, None)
        if batch is None:
            break
        empty = False
        yield pa.Table.from_batches([batch])
    if empty:
        yield reader.schema.empty_table()


def _from_pandas(frame: pd.DataFrame, call: _Call) -> pa.Table:
    named = [name for name in frame.index.names if name is not None]
    if named and len(named) == frame.index.nlevels:
        _require_unique([*named, *frame.columns], call)
        frame = frame.reset_index()
    elif named or not pd.api.types.is_integer_dtype(frame.index.dtype):
        raise DataError(
            f"{call.subject} gave a data frame whose index has no name and no whole numbers "
            f"({frame.index.dtype}). Nothing was kept. Name it (frame.rename_axis('time')) to have it as a column, "
            f"or drop it (frame.reset_index(drop=True))."
        )
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise DataError(f"{call.subject} gave columns whose names are no text: {bounded(odd)}. Nothing was kept.")
    _require_unique(list(frame.columns), call)
    for name, column in frame.items():
        _require_moments(str(name), column, call)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        return table.cast(pa.schema([_text_of_pandas_2(field, frame) for field in table.schema]))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{call.subject} gave a column with values of several types: {call.said(error)}. Nothing was "
            f"kept. Give the column one type."
        ) from error


def _text_of_pandas_2(field: pa.Field, frame: pd.DataFrame) -> pa.Field:
    """Return the type that texts have with any pandas; those of its version 3 come as large ones."""
    return pa.field(field.name, pa.string()) if str(frame[field.name].dtype) == "str" else field


def _require_moments(name: str, column: pd.Series, call: _Call) -> None:
    """Refuse what Arrow would take for other times, or for numbers."""
    if isinstance(column.dtype, pd.PeriodDtype):
        raise DataError(
            f"{call.subject} gave column {name!r} as periods ({column.dtype}), which are no times. Nothing was kept. "
            f"Give their beginnings: frame[{name!r}].dt.to_timestamp()."
        )
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "datetime":
        zoned = {moment.tzinfo is not None for moment in column.dropna()}
        if len(zoned) > 1:
            raise DataError(
                f"{call.subject} gave column {name!r} with times that have a time zone and others that have none, so "
                f"it is not known which times those mean. Nothing was kept. Give one form, best in UTC."
            )


def _schema_of(first: pa.Table, call: _Call, timestamp: str | None, window: Window) -> pa.Schema:
    _require_unique(first.column_names, call)
    if not first.column_names:
        raise DataError(f"{call.subject} gave data without a column. Nothing was kept.")
    schema = pa.schema([pa.field(column.name, _plain(column.type)) for column in first.schema])
    if timestamp is None:
        return schema
    if timestamp not in schema.names:
        raise DataError(
            f"{call.subject} did not give the timestamp column {timestamp!r}. Nothing was kept. Columns: "
            f"{bounded(schema.names, 20)}.{did_you_mean(timestamp, schema.names)}"
        )
    found = schema.field(timestamp).type
    if not window.is_open and not (pa.types.is_timestamp(found) or pa.types.is_date(found) or _is_text(found)):
        raise DataError(
            f"{call.subject} gave the timestamp column {timestamp!r} as {found}; a timestamp or a date was "
            f"expected, to cut the window. Nothing was kept. Convert it in the function."
        )
    return schema


def _plain(found: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(found):
        return found.value_type  # which categories a piece happens to have is no part of the type
    return pa.string() if pa.types.is_null(found) else found


def _fitted(piece: pa.Table, schema: pa.Schema, number: int, call: _Call) -> pa.Table:
    """Return the piece in the first one's columns and types; a column that is all null fits any."""
    names = piece.column_names
    missing, extra = [n for n in schema.names if n not in names], [n for n in names if n not in schema.names]
    if missing or extra or len(names) != len(schema):
        raise DataError(
            f"{call.subject} gave other columns in piece {number} than in piece 1: missing {bounded(missing)}, "
            f"new {bounded(extra)}. Nothing was kept and the champion stays."
        )
    columns = []
    for field in schema:
        column = piece.column(field.name)
        fits = pa.types.is_null(column.type) or _plain(column.type) == field.type
        if not fits and not (_is_text(_plain(column.type)) and _is_text(field.type)):
            raise DataError(
                f"{call.subject} gave column {field.name!r} as {column.type} in piece {number}; {field.type} was "
                f"expected, as in piece 1. Nothing was kept and the champion stays. Give the column the same type in "
                f"each piece, also where values are missing."
            )
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _in_window(column: pa.ChunkedArray, window: Window) -> pa.ChunkedArray:
    if _is_text(column.type):
        column = pa.chunked_array([_moments(column)], pa.timestamp("us", "UTC"))
    elif not pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"))
    elif column.type.unit == "ns":  # its range is that of three hundred years, and the window may lie outside
        column = pc.floor_temporal(column, unit="microsecond").cast(pa.timestamp("us", column.type.tz))
    within = pa.chunked_array([pa.repeat(True, len(column))])
    for bound, compare in ((window.start, pc.greater_equal), (window.end, pc.less)):
        if bound is not None:
            within = pc.and_(within, compare(column, _scalar(bound, column.type)))
    return pc.fill_null(within, True)


def _scalar(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    exact = pa.scalar(moment.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
    return pa.scalar(moment, pa.timestamp("us", kind.tz)) if kind.tz else exact


def _moments(column: pa.ChunkedArray) -> list[datetime | None]:
    return [None if text is None else _moment(text) for text in column.to_pylist()]


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _require_unique(names: list[Any], call: _Call) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{call.subject} gave columns of the same name: {bounded(twice)}. Nothing was kept.")


@contextlib.contextmanager
def _translated(call: _Call) -> Iterator[None]:
    try:
        yield
    except MlopsError:
        raise
    except (ConnectionError, TimeoutError) as error:
        raise UnavailableError(
            f"{call.subject} raised {type(error).__name__}: {call.said(error)}. Nothing was kept and the "
            f"champion stays. Check what it reads from, then retry."
        ) from error
    except Exception as error:
        raise DataError(
            f"{call.subject} raised {type(error).__name__}: {call.said(error)}. Nothing was kept and the "
            f"champion stays. Fix the function, or data.function_params."
        ) from error


def _described(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__qualname__}"
