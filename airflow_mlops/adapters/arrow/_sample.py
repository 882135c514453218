"""Arrow: a sample that is spread over rows whose number is not known before."""

from __future__ import annotations

from array import array

import pyarrow as pa

__all__ = ["SpreadSample"]


class SpreadSample:
    """Every n-th row of a stream, with n doubled as often as is needed to keep at most ``max_rows``.

    Rows lie in files in the order of something, so the first ones stand for nothing. The sample depends on
    the rows alone, not on how they come in tables.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows, self._step, self._seen = max_rows, 1, 0
        self._kept: list[pa.Table] = []
        self._n_kept = 0

    def add(self, rows: pa.Table) -> None:
        """Take the next rows."""
        # The next multiple of the step, counted from the beginning of the stream and not of this table.
        first = -self._seen % self._step
        self._seen += rows.num_rows
        if first >= rows.num_rows:
            return
        self._kept.append(rows if self._step == 1 else rows.take(_every(self._step, first, rows)))
        self._n_kept += self._kept[-1].num_rows
        while self._n_kept > self._max_rows:
            # Every second of every n-th row is every 2n-th row: what was kept stays such a sample.
            self._step *= 2
            thinned = pa.concat_tables(self._kept)
            self._kept = [thinned.take(_every(2, 0, thinned))]
            self._n_kept = self._kept[0].num_rows

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the rows that were kept, in their order."""
        return pa.concat_tables(self._kept) if self._kept else schema.empty_table()


def _every(step: int, first: int, rows: pa.Table) -> pa.Array:
    places = array("q", range(first, rows.num_rows, step))  # from numpy, Arrow would import pandas for a second
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])
