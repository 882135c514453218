"""The census, parted at random: halves of one population, profiled and counted by the engine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from airflow_mlops.adapters.arrow import ParquetDigestWriter
from airflow_mlops.adapters.duckdb_engine import count_columns, profile_columns
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.monitoring.drift import ColumnFacts, judge_drift
from airflow_mlops.core.monitoring.drift_report import DriftStatus
from airflow_mlops.specs import MonitoringSpec

pytestmark = pytest.mark.skipif(
    "MLOPS_TEST_DATA" not in os.environ, reason="MLOPS_TEST_DATA names no folder with real data"
)
N_SEEDS = 20


def write(rows: pa.Table, path: Path) -> ParquetDigestWriter:
    with ParquetDigestWriter(path, rows.schema) as writer:
        for batch in rows.to_batches():
            writer.write(batch)
    return writer


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[DatasetProfile, DatasetProfile]]:
    """The profile of one half, and the other half in its bins, by seed."""
    options = pacsv.ReadOptions(autogenerate_column_names=True)
    census = pacsv.read_csv(Path(os.environ["MLOPS_TEST_DATA"]) / "adult-train.csv", read_options=options)
    paths = [tmp_path_factory.mktemp("census") / f"{side}.parquet" for side in ("reference", "current")]
    half, found = census.num_rows // 2, []
    for seed in range(N_SEEDS):
        rows = census.take(pa.array(np.random.default_rng(seed).permutation(census.num_rows)))
        known, _ = (write(rows.slice(start, half), path) for start, path in zip((0, half), paths, strict=True))
        columns = profile_columns(str(paths[0]), known.columns, known.sample, spreads=known.spreads)
        n_rows, counted = count_columns(str(paths[1]), columns)
        reference = DatasetProfile(snapshot_digest="", n_rows=half, columns=columns)
        found.append((reference, DatasetProfile(snapshot_digest="", n_rows=n_rows, columns=counted)))
    return found


@pytest.mark.parametrize("limits", [{}, {"numeric": {"kolmogorov_smirnov": 0.05}, "categorical": {"chi_square": 0.05}}])
def test_halves_of_one_population_raise_no_alert_and_single_columns_hardly_any(halves, limits):
    facts, monitoring = ColumnFacts(kinds={}, importances={}), MonitoringSpec(**limits)
    verdicts = [
        judge_drift(reference=reference, current=current, monitoring=monitoring, facts=facts)
        for reference, current in halves
    ]
    assert [verdict.status for verdict in verdicts] == [DriftStatus.STABLE] * N_SEEDS
    n_drifted = sum(column.is_drifted for verdict in verdicts for column in verdict.columns)
    assert n_drifted <= 3  # of 300: each seed has at least one with a probability of at most 5 %
