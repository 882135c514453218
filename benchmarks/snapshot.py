"""What a snapshot costs, with digest, manifest and profile, against DuckDB's plainest copy to Parquet."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import child, made_data
from benchmarks.entry import Entry

REPETITIONS = 3

_OURS = """
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.steps.data.snapshot import snapshot_dataset
import duckdb, pyarrow.parquet
"""
_SNAPSHOT = "snapshot_dataset(DatasetSpec(path=sys.argv[1]), dataset='bench', storage=Storage(sys.argv[2]))"
_COPY = "duckdb.connect().execute(f\"COPY (SELECT * FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)\")"


def measure_csv() -> Entry:
    """Copy a CSV file both ways."""
    return _measure("snapshot_csv", ".csv")


def measure_parquet() -> Entry:
    """Copy a Parquet file both ways."""
    return _measure("snapshot_parquet", ".parquet")


def measure_memory_growth() -> Entry:
    """Compare the peak memory of a snapshot with that of one of a tenth of its rows."""
    with tempfile.TemporaryDirectory() as name:
        folder, peaks = Path(name), []
        for n_rows in (made_data.N_ROWS, made_data.N_ROWS // 10):
            source = made_data.write_parquet(folder / "source.parquet", n_rows)
            peaks.append(statistics.median(_snapshot(source, folder)[1] for _ in range(REPETITIONS)))
    return Entry(name="snapshot_memory_growth", ours=peaks[0], baseline=peaks[1], unit="MB", better="lower")


def _measure(name: str, suffix: str) -> Entry:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        source = made_data.write_parquet(folder / "source.parquet", made_data.N_ROWS)
        if suffix == ".csv":
            source = made_data.write_csv(folder / "source.csv", source)
        ours, baseline = [], []
        for _ in range(REPETITIONS):
            baseline.append(child.run("import duckdb", _COPY, source, folder / "copy.parquet")[0])
            ours.append(_snapshot(source, folder)[0])
    return Entry(
        name=name, ours=statistics.median(ours), baseline=statistics.median(baseline), unit="s", better="lower"
    )


def _snapshot(source: Path, folder: Path) -> tuple[float, float]:
    storage = folder / "storage"
    try:
        return child.run(_OURS, _SNAPSHOT, source, storage)
    finally:
        shutil.rmtree(storage, ignore_errors=True)
