"""Arrow: streamed writing of Parquet, with a digest of the content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_mlops.adapters.arrow._order import MomentOrder
from airflow_mlops.adapters.arrow._sample import SpreadSample
from airflow_mlops.adapters.arrow._spread import NumberSpreads
from airflow_mlops.adapters.arrow._types import kept_batch, kept_schema
from airflow_mlops.adapters.arrow.digest import BLOCK_ROWS, RowDigest, file_digest
from airflow_mlops.core.data.profile import Spread
from airflow_mlops.core.data.snapshot import Column

__all__ = ["ParquetDigestWriter"]

_SAMPLE_ROWS = 32_768
_MAX_PENDING = 2
_MAX_DICTIONARY = BLOCK_ROWS // 4


class ParquetDigestWriter:
    """Write record batches to one Parquet file and digest their rows on the way.

    However the rows come in batches, they are hashed and stored in blocks of :data:`BLOCK_ROWS`. Reading,
    hashing and encoding each have a thread, and a few blocks are held at a time. Values are stored in the
    types that Parquet gives back, so that the digest of what is read is the one of what was written.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, kept_schema(schema)
        self._file: pq.ParquetWriter | None = None
        self._digest, self._sample = RowDigest(self._schema), SpreadSample(_SAMPLE_ROWS)
        self._order, self._spreads = MomentOrder(self._schema), NumberSpreads(self._schema)
        self._nulls = [0] * len(self._schema)
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0
        self._hashing, self._encoding = (ThreadPoolExecutor(1, f"snapshot-{name}") for name in ("hash", "encode"))
        self._pending: deque[Future[None]] = deque()
        self.n_rows = 0

    def __enter__(self) -> ParquetDigestWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self._n_waiting or self._file is None:
                    self._flush(self._n_waiting)
                self._await_all_but(0)
        finally:
            for pool in (self._hashing, self._encoding):
                pool.shutdown(cancel_futures=True)
            self._waiting.clear()
            if self._file is not None:
                self._file.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take some more rows.

        :raises DataError: when a value can't be kept.
        """
        self._waiting.append(kept_batch(batch, self._schema))
        self._n_waiting += batch.num_rows
        while self._n_waiting >= BLOCK_ROWS:
            self._flush(BLOCK_ROWS)

    @property
    def digest(self) -> str:
        """The digest of the rows, once the writer is closed."""
        return str(self._digest)

    @cached_property
    def file_digest(self) -> str:
        """The digest of the file's bytes, once the writer is closed."""
        return file_digest(self._path)

    @property
    def sample(self) -> pa.Table:
        """Some ten thousand rows that are spread over the file, once the writer is closed."""
        return self._sample.table(self._schema)

    @property
    def is_ordered(self) -> dict[str, bool]:
        """Whether each column of dates or timestamps never goes back, once the writer is closed."""
        return dict(self._order.is_ordered)

    @property
    def spreads(self) -> dict[str, Spread]:
        """Means and standard deviations of the numeric columns, once the writer is closed."""
        return self._spreads.spreads

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
        if self._file is None:
            self._file = _open(self._path, block)
        if not n_rows:
            return
        self._start(self._hashing, self._take_in, block)
        self._start(self._encoding, self._write_group, block)
        self._await_all_but(_MAX_PENDING)
        self.n_rows += n_rows

    def _start(self, pool: ThreadPoolExecutor, work: Callable[[pa.Table], None], block: pa.Table) -> None:
        self._pending.append(pool.submit(work, block))

    def _await_all_but(self, n_pending: int) -> None:
        """Wait until no more than so many blocks' work is left; a failure of it is raised here."""
        while len(self._pending) > n_pending:
            self._pending.popleft().result()

    def _take_in(self, block: pa.Table) -> None:
        block = block.combine_chunks()  # once, not by each that looks at it
        self._digest.update(block)
        self._sample.add(block)
        self._order.add(block)
        self._spreads.add(block)
        self._nulls = [n + column.null_count for n, column in zip(self._nulls, block.columns, strict=True)]

    def _write_group(self, block: pa.Table) -> None:
        if self._file is not None:
            self._file.write_table(block, row_group_size=BLOCK_ROWS)


def _open(path: Path, block: pa.Table) -> pq.ParquetWriter:
    """Open a file for blocks like this one.

    A dictionary of numbers that are all different costs time and room, and nobody asks for the extremes of texts.
    """
    return pq.ParquetWriter(
        path,
        block.schema,
        compression="snappy",
        use_dictionary=[column.name for column in block.schema if _has_dictionary(column.type, block, column.name)],
        write_statistics=[column.name for column in block.schema if not pa.types.is_string(column.type)],
        use_compliant_nested_type=False,
    )


def _has_dictionary(kind: pa.DataType, block: pa.Table, column: str) -> bool:
    if pa.types.is_integer(kind):
        return bool(len(block.column(column).unique()) <= _MAX_DICTIONARY)
    return not pa.types.is_floating(kind)
