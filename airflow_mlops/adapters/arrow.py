"""Arrow and Parquet: streamed writing with a digest of the content, streamed reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airflow_mlops.core.data import Column
from airflow_mlops.core.profile import OTHER, ColumnProfile, count_numbers
from airflow_mlops.errors import IntegrityError

__all__ = [
    "After",
    "ParquetDigestWriter",
    "RowDigest",
    "check_rows",
    "count_columns",
    "has_profile",
    "is_numeric",
    "mask_batches",
    "read_column",
    "read_frame",
    "sample_frame",
]

After = tuple[str, datetime]
"""A timestamp column and a moment: the rows that are later."""

BLOCK_ROWS = 65_536
"""Rows that are hashed together, and that make a row group. Part of what a digest means."""

_MAX_CATEGORIES = 100


class RowDigest:
    """A SHA-256 of columns, types and values in their order, fed block by block.

    It does not depend on how the rows were compressed, or on what lies under a null.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._hash = hashlib.sha256()
        for column in schema:
            self._hash.update(f"{column.name}\0{column.type}\n".encode())

    def update(self, block: pa.Table) -> None:
        """Take the next :data:`BLOCK_ROWS` rows; only the last block may have fewer."""
        self._hash.update(f"{block.num_rows}\n".encode())
        for column in block.columns:
            _digest_array(column.combine_chunks(), self._hash.update)

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class ParquetDigestWriter:
    """Write record batches to one Parquet file and digest their rows on the way.

    However the rows come in batches, they are hashed and stored in blocks of :data:`BLOCK_ROWS`, and no more
    than a block and a batch are held at a time.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(path, schema, compression="zstd", use_compliant_nested_type=False)
        self._schema = schema
        self._digest = RowDigest(schema)
        self._nulls = [0] * len(schema)
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0
        self.n_rows = 0

    def __enter__(self) -> ParquetDigestWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._n_waiting:
            self._flush(self._n_waiting)
        self._file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take some more rows."""
        self._waiting.append(batch)
        self._n_waiting += batch.num_rows
        while self._n_waiting >= BLOCK_ROWS:
            self._flush(BLOCK_ROWS)

    @property
    def digest(self) -> str:
        """The digest of the rows, once the writer is closed."""
        return str(self._digest)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns with their nulls counted, once the writer is closed."""
        return tuple(
            Column(name=column.name, type=str(column.type), n_null=n_null)
            for column, n_null in zip(self._schema, self._nulls, strict=True)
        )

    def _flush(self, n_rows: int) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        block, rest = table.slice(0, n_rows), table.slice(n_rows)
        self._waiting, self._n_waiting = rest.to_batches(), rest.num_rows
        self._digest.update(block)
        self._nulls = [n + column.null_count for n, column in zip(self._nulls, block.columns, strict=True)]
        self._file.write_table(block, row_group_size=BLOCK_ROWS)
        self.n_rows += block.num_rows


def _digest_array(array: pa.Array, update: Callable[[Any], None]) -> None:
    """Feed the array's validity and values, in one form for equal content."""
    update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)))
    kind, present = array.type, array.drop_null()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        update(pc.binary_length(present).cast(pa.int64()).to_numpy())
        update(b"".join(present.cast(pa.large_binary()).to_pylist()))
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        update(np.ascontiguousarray(present.to_numpy(zero_copy_only=False)))
    elif pa.types.is_floating(kind):
        values = present.to_numpy(zero_copy_only=False)
        update(np.where(np.isnan(values), np.array(np.nan, dtype=values.dtype), values))
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        update(np.ascontiguousarray(present.view(pa.int32()).to_numpy()))
    elif pa.types.is_timestamp(kind) or pa.types.is_date64(kind) or pa.types.is_time64(kind):
        update(np.ascontiguousarray(present.view(pa.int64()).to_numpy()))
    else:  # decimals and nested values: rare, so their plain text is fast enough
        update("\0".join(repr(value) for value in present.to_pylist()).encode())


def mask_batches(
    batches: Iterable[pa.RecordBatch], is_test: Callable[[pa.RecordBatch], NDArray[np.bool_]]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Part every batch in the rows for training and those that are held back."""
    for batch in batches:
        held_back = np.asarray(is_test(batch), dtype=bool)
        yield batch.filter(pa.array(~held_back)), batch.filter(pa.array(held_back))


def read_frame(path: str, expected_digest: str) -> Any:
    """Read a Parquet file of this module's whole, as a pandas data frame.

    :param expected_digest: what the step before vouched for.
    :raises IntegrityError: when the rows are not those, or the file is gone or damaged.
    """
    blocks = list(_verified_blocks(path, expected_digest))
    return pa.concat_tables(blocks).to_pandas(date_as_object=False)


def check_rows(path: str, expected_digest: str) -> None:
    """See that a Parquet file of this module's holds the rows that were vouched for, block by block.

    :raises IntegrityError: when the rows are others, or the file is gone or damaged.
    """
    for _ in _verified_blocks(path, expected_digest):
        pass


def _verified_blocks(path: str, expected_digest: str) -> Iterator[pa.Table]:
    """Give the file's blocks; after the last one it is known whether they are what was vouched for."""
    try:
        file = pq.ParquetFile(path)
        digest = RowDigest(file.schema_arrow)
        for group in range(file.num_row_groups):
            block = file.read_row_group(group)
            digest.update(block)
            yield block
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} can't be read: {error}. Run the pipeline again to make it anew.") from error
    if str(digest) != expected_digest:
        raise IntegrityError(
            f"{path}: the rows have digest {str(digest)[:19]}…, {expected_digest[:19]}… was vouched for. The file was "
            f"changed after it was written; nothing uses it. Remove it and run the pipeline again."
        )


def read_column(path: str, column: str) -> NDArray[Any]:
    """Read one column of a Parquet file as a numpy array."""
    return np.asarray(pq.read_table(path, columns=[column]).column(0).to_numpy())


def sample_frame(path: str, columns: Sequence[str], max_rows: int, *, after: After | None = None) -> Any:
    """Read at most ``max_rows`` rows, spread evenly over the file, as a pandas data frame to draw from."""
    rows = pa.concat_tables(_row_groups(path, columns, after))
    step = max(1, -(-rows.num_rows // max_rows))
    return rows.take(np.arange(0, rows.num_rows, step)).to_pandas()


def is_numeric(arrow_type: str) -> bool:
    """Return whether a column's type, as text, is a number."""
    return arrow_type.startswith(("int", "uint", "float", "double", "half", "decimal"))


def has_profile(arrow_type: str) -> bool:
    """Return whether a column's type, as text, is one whose values can be counted: not nested, not binary."""
    return not arrow_type.startswith(("list", "large_list", "fixed_size", "struct", "map", "binary", "large_binary"))


def count_columns(
    path: str,
    bins: Sequence[ColumnProfile],
    *,
    after: After | None = None,
) -> tuple[int, tuple[ColumnProfile, ...]]:
    """Count columns in given bins over all rows, row group by row group.

    :param bins: the columns, with the edges of their bins. A column without edges is categorical: its
        categories are those that ``bins`` counted, or the most frequent ones that are found.
    :param after: a timestamp column and a moment: only later rows count.
    :returns: the number of rows that counted, and a profile for each column.
    """
    counts: dict[str, dict[str, int]] = {column.name: {} for column in bins}
    n_rows = 0
    for table in _row_groups(path, [column.name for column in bins], after):
        n_rows += table.num_rows
        for column in bins:
            values = table.column(column.name)
            found = _count_values(values) if column.edges is None else _count_numeric(values, column.edges)
            for name, n in found.items():
                counts[column.name][name] = counts[column.name].get(name, 0) + n
    profiles = (
        ColumnProfile(
            name=column.name,
            edges=column.edges,
            counts=_fold_rare(counts[column.name], column.counts) if column.edges is None else counts[column.name],
        )
        for column in bins
    )
    return n_rows, tuple(profiles)


def _row_groups(path: str, columns: Sequence[str], after: After | None) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    wanted = list(dict.fromkeys([*columns, *([after[0]] if after else [])]))
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=wanted)
        if after:
            moment = table.column(after[0]).cast(pa.timestamp("us"))
            table = table.filter(pc.greater(moment, pa.scalar(after[1], pa.timestamp("us"))))
        yield table.select(list(columns))


def _count_numeric(column: pa.ChunkedArray, edges: tuple[float, ...]) -> dict[str, int]:
    values = column.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return count_numbers(values, column.null_count, edges)


def _count_values(column: pa.ChunkedArray) -> dict[str, int]:
    tally = pc.value_counts(column.cast(pa.string()))
    found = zip(tally.field("values").to_pylist(), tally.field("counts").to_pylist(), strict=True)
    return {"null" if value is None else f"={value}": count for value, count in found}


def _fold_rare(counts: dict[str, int], known: Mapping[str, int]) -> dict[str, int]:
    """Put the values that have no bin of their own in one."""
    frequent = sorted((name for name in counts if name != "null"), key=lambda name: (-counts[name], name))
    keep = set(known or frequent[:_MAX_CATEGORIES]) | {"null"}
    folded = {name: n for name, n in counts.items() if name in keep}
    rare = sum(counts.values()) - sum(folded.values())
    return {**folded, OTHER: rare} if rare else folded
