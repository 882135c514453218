"""Arrow: reading of Parquet files, and whether they are what was verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airflow_mlops.adapters.arrow.digest import RowDigest, file_digest
from airflow_mlops.errors import IntegrityError

__all__ = ["check_file", "check_rows", "read_column", "read_frame", "unreadable"]


def read_frame(path: str, expected_digest: str = "", *, columns: Sequence[str] | None = None) -> Any:
    """Read a Parquet file of this package's, as a pandas data frame.

    :param expected_digest: of all of its rows, which is what the step before verified; empty when the file was
        checked already.
    :param columns: the ones to give, in this order; ``None``: all.
    :raises IntegrityError: when the rows are not those, or the file is gone or damaged.
    """
    wanted = None if columns is None else list(columns)
    if expected_digest:
        blocks = _verified_blocks(path, expected_digest)
        table = pa.concat_tables(block.select(wanted) if wanted is not None else block for block in blocks)
    else:
        try:
            table = pq.read_table(path, columns=wanted)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, error) from error
    return table.to_pandas(date_as_object=False)


def check_file(path: str, expected_digest: str) -> None:
    """See that a file's bytes are those that were verified.

    :param expected_digest: of the file's bytes, from ``file_digest`` in a manifest.
    :raises IntegrityError: when they are others, or the file is gone or can't be read.
    """
    try:
        digest = file_digest(path)
    except OSError as error:
        raise unreadable(path, error) from error
    if digest != expected_digest:
        raise _changed(path, "the file has", digest, expected_digest)


def check_rows(path: str, expected_digest: str) -> None:
    """See that a Parquet file of this package's holds the rows that were verified, block by block.

    :raises IntegrityError: when the rows are others, or the file is gone or damaged.
    """
    for _ in _verified_blocks(path, expected_digest):
        pass


def _verified_blocks(path: str, expected_digest: str) -> Iterator[pa.Table]:
    """Give the file's blocks; after the last one it is known whether they are what was verified."""
    try:
        with pq.ParquetFile(path) as file:
            digest = RowDigest(file.schema_arrow)
            for group in range(file.num_row_groups):
                block = file.read_row_group(group)
                digest.update(block)
                yield block
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    if str(digest) != expected_digest:
        raise _changed(path, "the rows have", str(digest), expected_digest)


def unreadable(path: str, error: Exception) -> IntegrityError:
    """Return what to raise where a file of this package's can't be read."""
    return IntegrityError(f"{path} can't be read: {error}. Run the pipeline again to make it anew.")


def _changed(path: str, what: str, digest: str, expected_digest: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: {what} digest {digest[:19]}…, {expected_digest[:19]}… was verified. The file was changed after "
        f"it was written; nothing uses it. Remove it and run the pipeline again."
    )


def read_column(path: str, column: str) -> NDArray[Any]:
    """Read one column of a Parquet file as a numpy array."""
    return np.asarray(pq.read_table(path, columns=[column]).column(0).to_numpy())
