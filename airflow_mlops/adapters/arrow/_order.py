"""Arrow: whether dates and timestamps go back from one row to the next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

__all__ = ["MomentOrder"]


class MomentOrder:
    """Watches the dates and timestamps of a stream. What is null has no place in the order."""

    def __init__(self, schema: pa.Schema) -> None:
        moments = [
            column.name for column in schema if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)
        ]
        self.is_ordered = dict.fromkeys(moments, True)
        self._last: dict[str, int] = {}

    def add(self, rows: pa.Table) -> None:
        """Take the next rows."""
        for column, is_ordered in self.is_ordered.items():
            present = rows.column(column).combine_chunks().drop_null()
            if not is_ordered or not len(present):
                continue
            item = np.dtype(f"i{present.type.bit_width // 8}")
            moments = np.frombuffer(present.buffers()[1], item, len(present), item.itemsize * present.offset)
            last = self._last.get(column, int(moments[0]))
            self.is_ordered[column] = bool(last <= moments[0] and np.all(moments[1:] >= moments[:-1]))
            self._last[column] = int(moments[-1])
