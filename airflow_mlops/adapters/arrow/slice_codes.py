"""Arrow: the columns of a table or a data frame as slices of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_mlops.core.evaluation.slices import SlicedColumn, code_categories, code_numbers
from airflow_mlops.errors import SpecError, bounded, did_you_mean

__all__ = ["common_slices", "moments_of", "slice_columns"]

_NOT_A_TIME = int(np.iinfo(np.int64).min)
"""How numpy writes NaT."""


def slice_columns(
    rows: Any, names: Sequence[str], *, max_values: int = 20, n_bins: int = 5
) -> tuple[SlicedColumn, ...]:
    """Return the columns' slices: intervals of numbers, values of text and booleans.

    :param rows: a pandas data frame or an Arrow table.
    :param max_values: how many values of a text get a slice of their own.
    :param n_bins: how many intervals a number has at most.
    :raises SpecError: when a column is not there, or of a type that has no slices, such as a timestamp.
    """
    known = [str(name) for name in (rows.column_names if isinstance(rows, pa.Table) else rows.columns)]
    for name in names:
        if name not in known:
            raise SpecError(
                f"Can't slice by {name!r}: no such column among {bounded(known, 20)}.{did_you_mean(name, known)}"
            )
    return tuple(_sliced(name, _as_arrow(name, rows[name]), max_values, n_bins) for name in names)


def common_slices(
    *, reference: Any, current: pa.Table, names: Sequence[str], min_rows: int
) -> tuple[dict[str, NDArray[np.intp]], dict[str, NDArray[np.intp]]]:
    """Return the places of the rows of each slice, of two samples that are sliced alike.

    :param reference: a pandas data frame.
    :param current: the same columns in the same order, under any names.
    :param min_rows: slices that are smaller in either sample are left out.
    :raises SpecError: when a column is not there, has no slices, or is of two kinds.
    """
    known = pa.Table.from_pandas(reference[[*names]], preserve_index=False)
    try:
        both = pa.concat_tables([known, current.rename_columns([*names])], promote_options="permissive")
    except pa.ArrowException as error:
        raise SpecError(f"Can't slice by {bounded(names)}: the samples' types differ: {error}.") from error
    places: tuple[dict[str, NDArray[np.intp]], dict[str, NDArray[np.intp]]] = {}, {}
    for column in slice_columns(both, names):
        for code, condition in enumerate(column.conditions):
            rows = [np.flatnonzero(part == code) for part in np.split(column.codes, [known.num_rows])]
            if min(map(len, rows)) >= min_rows:
                places[0][condition], places[1][condition] = rows
    return places


def moments_of(column: Any) -> NDArray[np.datetime64]:
    """Return dates or timestamps in UTC.

    :param column: a pandas series or an Arrow column.
    :returns: ``(n_rows,) datetime64[us]``, NaT where there is none.
    :raises SpecError: when they are something else.
    """
    values = _as_arrow("timestamp", column)
    if not pa.types.is_temporal(values.type) or pa.types.is_time(values.type) or pa.types.is_duration(values.type):
        raise SpecError(f"Errors by time need dates or timestamps, found a column of type {values.type}.")
    zone = getattr(values.type, "tz", None)
    counts = values.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(counts, _NOT_A_TIME).to_numpy()).view("datetime64[us]")


def _as_arrow(name: str, column: Any) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.unify_dictionaries().combine_chunks()
    try:
        found = pa.Array.from_pandas(column)
    except pa.ArrowException as error:
        raise SpecError(f"Can't slice by {name!r}: its values are of several types: {error}.") from error
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found  # as texts of pandas 3 are


def _sliced(name: str, column: pa.Array, max_values: int, n_bins: int) -> SlicedColumn:
    is_coded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_coded else column.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        column, kind, is_coded = column.cast(kind).cast(pa.string()), pa.string(), False
    if _is_text(kind):
        coded = column if is_coded else column.dictionary_encode()
        codes = pc.fill_null(coded.indices.cast(pa.int64()), -1).to_numpy()
        return code_categories(name, codes, coded.dictionary.to_pylist(), max_values=max_values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(kind).cast(pa.float64(), safe=False)
        return code_numbers(name, numbers.to_numpy(zero_copy_only=False), n_bins=n_bins)
    raise SpecError(
        f"Can't slice by {name!r} of type {column.type}: slices are made of numbers, booleans and text. Leave it "
        f"out, or make one of those of it in data.features."
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
