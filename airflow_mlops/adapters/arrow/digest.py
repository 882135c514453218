"""Arrow: the digest of rows, and that of a file's bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from airflow_mlops.adapters.arrow._types import kept_schema

__all__ = ["BLOCK_ROWS", "RowDigest", "file_digest"]

BLOCK_ROWS = 65_536
"""Rows that are hashed together, and that make a row group. Part of what a digest means."""


class RowDigest:
    """A SHA-256 of columns, types and values in their order, fed block by block.

    It does not depend on how the rows were compressed, or on what lies under a null.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._hash = hashlib.sha256()
        for column in kept_schema(schema):
            self._hash.update(f"{column.name}\0{column.type}\n".encode())

    def update(self, block: pa.Table) -> None:
        """Take the next :data:`BLOCK_ROWS` rows; only the last block may have fewer."""
        self._hash.update(f"{block.num_rows}\n".encode())
        for column in block.columns:
            _digest_array(column.combine_chunks(), self._hash.update)

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes: several times as fast to compare as its rows are."""
    with open(path, "rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _digest_array(array: pa.Array, update: Callable[[Any], None]) -> None:
    """Feed the array's validity and values, in one form for equal content, as they lie in their buffers."""
    # Which values are there, then only those: what lies under a null is anything.
    update(np.packbits(_validity(array)))
    kind, present = array.type, array.drop_null() if array.null_count else array
    if not len(present) or pa.types.is_null(kind):
        return
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        # Lengths, not offsets, which depend on where a slice begins.
        bounds = _fixed_width(present, "i4", 1)
        update(np.diff(bounds))
        if text := present.buffers()[2]:
            update(memoryview(text)[bounds[0] : bounds[-1]])
    elif pa.types.is_boolean(kind):
        update(_bits(present.buffers()[1], present))
    elif pa.types.is_floating(kind):
        # There are many NaN, which differ in bits and mean the same.
        values = _fixed_width(present, f"f{kind.bit_width // 8}")
        is_nan = np.isnan(values)
        update(np.where(is_nan, np.array(np.nan, dtype=values.dtype), values) if is_nan.any() else values)
    elif pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        update(_fixed_width(present, f"i{kind.bit_width // 8}"))
    else:  # decimals and nested values: rare, so their plain text is fast enough
        update("\0".join(repr(value) for value in present.to_pylist()).encode())


def _validity(array: pa.Array) -> NDArray[np.uint8]:
    if pa.types.is_null(array.type):
        return np.zeros(len(array), dtype=np.uint8)
    return _bits(array.buffers()[0], array) if array.null_count else np.ones(len(array), dtype=np.uint8)


def _bits(buffer: pa.Buffer, array: pa.Array) -> NDArray[np.uint8]:
    """Return the bits of a buffer that belong to the array, each in a byte."""
    bits = np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)]


def _fixed_width(array: pa.Array, dtype: str, n_more: int = 0) -> NDArray[Any]:
    """Return the second buffer of an array as numbers, without the pandas that ``to_numpy`` would import."""
    item = np.dtype(dtype)
    return np.frombuffer(array.buffers()[1], item, count=len(array) + n_more, offset=item.itemsize * array.offset)
