"""What a drift check costs, against Evidently on the same rows, against a bare scan, and in memory.

Ours has the reference as a stored profile, as it has in production, and reads the current rows from a file. Evidently
has both sides in memory when the clock starts.
"""

from __future__ import annotations

import functools
import pickle
import statistics
import tempfile
from pathlib import Path

from benchmarks import child, made_data
from benchmarks.entry import Entry

REPETITIONS = 3

_OURS = """
import pickle
import pyarrow
from airflow_mlops.adapters.duckdb_engine import count_columns
from airflow_mlops.core.monitoring.drift import ColumnFacts, judge_drift
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.specs.monitor import MonitoringSpec
with open(sys.argv[2], "rb") as file:
    reference = pickle.load(file)
"""
_CHECK = """
n_rows, columns = count_columns(sys.argv[1], reference.columns)
current = DatasetProfile(snapshot_digest="", n_rows=n_rows, columns=columns)
facts = ColumnFacts(kinds={}, importances={})
verdict = judge_drift(reference=reference, current=current, monitoring=MonitoringSpec(), facts=facts)
assert verdict.status == "STABLE", verdict
"""
_EVIDENTLY = """
import os, warnings
os.environ["DO_NOT_TRACK"] = "true"
warnings.simplefilter("ignore")
import pandas
from evidently import Report
from evidently.presets import DataDriftPreset
names = sys.argv[3].split(",")
current, reference = (pandas.read_parquet(path, columns=names) for path in sys.argv[1:3])
"""
_REPORT = "found = Report([DataDriftPreset()]).run(current, reference).dict()"
_BARE = """
parts = [f"sum(strlen({c.name}))" if c.edges is None else f"sum({c.name})" for c in reference.columns]
rows = f"read_parquet('{sys.argv[1]}', can_have_nan = true)"
duckdb.connect().execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchall()
"""


def measure_speedup() -> Entry:
    """Compare the seconds with Evidently's."""
    ours, theirs = _against_evidently()
    return Entry(name="drift_speedup", ours=theirs[0] / ours[0], baseline=None, unit="times", better="higher")


def measure_memory() -> Entry:
    """Compare the most memory with Evidently's, which holds both sides."""
    ours, theirs = _against_evidently()
    return Entry(name="drift_memory", ours=ours[1], baseline=theirs[1], unit="MB", better="lower")


def measure_memory_growth() -> Entry:
    """Compare the most memory with that for a tenth of the rows."""
    with tempfile.TemporaryDirectory() as name:
        peaks = []
        for n_rows in (made_data.N_ROWS, made_data.N_ROWS // 10):
            paths = _write(Path(name), n_rows)
            peaks.append(statistics.median(child.run(_OURS, _CHECK, *paths)[1] for _ in range(REPETITIONS)))
    return Entry(name="drift_memory_growth", ours=peaks[0], baseline=peaks[1], unit="MB", better="lower")


def measure_over_scan() -> Entry:
    """Compare the seconds with those of a scan that sums numbers and lengths of texts, in turn."""
    with tempfile.TemporaryDirectory() as name:
        paths = _write(Path(name), made_data.N_ROWS)
        ours, baseline = [], []
        for _ in range(REPETITIONS):
            baseline.append(child.run(f"import duckdb{_OURS}", _BARE, *paths)[0])
            ours.append(child.run(_OURS, _CHECK, *paths)[0])
    seconds = (statistics.median(ours), statistics.median(baseline))
    return Entry(name="drift_over_scan", ours=seconds[0], baseline=seconds[1], unit="s", better="lower")


@functools.cache
def _against_evidently() -> tuple[tuple[float, float], tuple[float, float]]:
    """Return seconds and megabytes of both, for a tenth of the rows; ours is the median of some runs."""
    with tempfile.TemporaryDirectory() as name:
        current, profile = _write(Path(name), made_data.N_ROWS // 10, made_data.N_ROWS // 10)
        runs = [child.run(_OURS, _CHECK, current, profile) for _ in range(REPETITIONS)]
        ours = statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
        names = ",".join(column.name for column in pickle.loads(profile.read_bytes()).columns)  # ours
        theirs = child.run(_EVIDENTLY, _REPORT, current, Path(name) / "reference.parquet", names)
    print(f"  ours {ours[0]:.2f} s, {ours[1]:.0f} MB; Evidently {theirs[0]:.1f} s, {theirs[1]:.0f} MB")
    return ours, theirs


def _write(folder: Path, n_rows: int, n_reference: int = 1_000_000) -> tuple[Path, Path]:
    """Write two samples of one distribution as snapshots keep them; return the current one, and the other's profile."""
    import pyarrow.parquet as pq

    from airflow_mlops.adapters.arrow import ParquetDigestWriter
    from airflow_mlops.adapters.duckdb_engine import profile_columns
    from airflow_mlops.core.data.profile import DatasetProfile

    for seed, (side, n_side) in enumerate({"reference": n_reference, "current": n_rows}.items()):
        source, kept = folder / "source.parquet", folder / f"{side}.parquet"
        made_data.write_parquet(source, n_side, seed + 1)
        columns = [name for name in pq.read_schema(source).names if name[0] in "nc"]  # neither the target nor the key
        with pq.ParquetFile(source) as file:
            schema = pq.read_schema(source)
            wanted = schema.empty_table().select(columns).schema
            with ParquetDigestWriter(kept, wanted) as writer:
                for batch in file.iter_batches(columns=columns):
                    writer.write(batch)
        source.unlink()
        if side == "reference":
            found = profile_columns(str(kept), writer.columns, writer.sample, spreads=writer.spreads)
            profile = DatasetProfile(snapshot_digest=writer.digest, n_rows=n_side, columns=found)
            (folder / "profile").write_bytes(pickle.dumps(profile))
    return folder / "current.parquet", folder / "profile"
