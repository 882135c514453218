"""Data to measure with: ten numbers, five texts, a target and a key, made by a seed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_ROWS = int(os.environ.get("BENCH_ROWS", "10_000_000"))
"""Rows of the large files; the small ones have a tenth. ``BENCH_ROWS=1_000_000`` is a quick run."""

_CHUNK = 500_000
_CARDINALITIES = (2, 5, 20, 100, 1000)


def write_parquet(path: Path, n_rows: int, seed: int = 1) -> Path:
    """Write a file as people have them: zstd, with row groups of 250 000 rows."""
    writer = None
    for table in _chunks(n_rows, np.random.default_rng(seed)):
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    if writer is None:
        raise ValueError(f"{n_rows} rows are none.")
    writer.close()
    return path


def write_csv(path: Path, parquet: Path) -> Path:
    """Write the same rows as CSV."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_parquet('{parquet}')) TO '{path}' (HEADER)")
    return path


def _chunks(n_rows: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    for start in range(0, n_rows, _CHUNK):
        n = min(_CHUNK, n_rows - start)
        columns: dict[str, pa.Array] = {}
        for i in range(10):
            values = rng.normal(i, 1 + i / 3, n) if i < 6 else rng.lognormal(0, 0.7, n)
            if i >= 8:
                values = rng.integers(0, 1000, n).astype(float)
            columns[f"n{i}"] = pa.array(values, mask=rng.random(n) < 0.02 if i in (2, 7) else None)
        for i, cardinality in enumerate(_CARDINALITIES):
            shares = np.arange(1, cardinality + 1) ** -0.7
            codes = np.searchsorted(np.cumsum(shares / shares.sum()), rng.random(n)).clip(0, cardinality - 1)
            names = pa.array([f"v{code:04d}" for code in range(cardinality)])
            columns[f"c{i}"] = names.take(pa.array(codes))
        columns["y"] = pa.array(rng.integers(0, 2, n))
        columns["id"] = pa.array(np.arange(start, start + n))
        yield pa.table(columns)
