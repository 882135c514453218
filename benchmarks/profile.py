"""What the profile and the comparison of schemas cost, against one bare scan of the same file by the same engine.

The bare scan reads every value and does next to nothing with it: it sums numbers and lengths of texts.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks import child, made_data
from benchmarks.entry import Entry

REPETITIONS = 3

_PREPARE = """
import duckdb, pickle
import pyarrow.compute
from airflow_mlops.adapters.duckdb_engine import profile_columns
from airflow_mlops.core.validation.against_champion import compare_schemas
from airflow_mlops.specs.validate import PolicySpec
with open(sys.argv[2], "rb") as file:
    columns, sample, spreads = pickle.load(file)
"""
_PROFILE = """
profile_columns(sys.argv[1], columns, sample, spreads=spreads)
compare_schemas(reference=columns, current=columns, policy=PolicySpec())
"""
_BARE = """
parts = [f"sum(strlen({c.name}))" if c.type == "string" else f"sum({c.name})" for c in columns]
rows = f"read_parquet('{sys.argv[1]}', can_have_nan = true)"
duckdb.connect().execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchall()
"""


def measure() -> Entry:
    """Profile a snapshot's file, and scan it, in turn."""
    import pickle

    import pyarrow.parquet as pq

    from airflow_mlops.adapters.arrow import ParquetDigestWriter

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = made_data.write_parquet(folder / "source.parquet", made_data.N_ROWS)
        with pq.ParquetFile(source) as file, ParquetDigestWriter(folder / "data.parquet", file.schema_arrow) as writer:
            for batch in file.iter_batches():
                writer.write(batch)
        (folder / "known").write_bytes(pickle.dumps((writer.columns, writer.sample, writer.spreads)))
        ours, baseline = [], []
        for _ in range(REPETITIONS):
            baseline.append(child.run(_PREPARE, _BARE, folder / "data.parquet", folder / "known")[0])
            ours.append(child.run(_PREPARE, _PROFILE, folder / "data.parquet", folder / "known")[0])
    return Entry(
        name="profile", ours=statistics.median(ours), baseline=statistics.median(baseline), unit="s", better="lower"
    )
