"""A suite of 15 rules on 10 million rows: ours against Great Expectations on pandas, and against a scan by hand.

Each runs in a process of its own, with its libraries imported before the clock starts. Reading the file counts.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.entry import Entry

REPOSITORY = Path(__file__).parents[1]
N_ROWS = int(os.environ.get("BENCH_ROWS", "10_000_000"))
N_CATEGORIES = (2, 5, 20, 100, 1000)


def _suite(names: list[str]) -> list[dict[str, Any]]:
    def rule(kind: str, **kwargs: Any) -> dict[str, Any]:
        return {"type": f"expect_{kind}", "kwargs": kwargs}

    categories = [[f"v{index:04d}" for index in range(n)] for n in N_CATEGORIES]
    return [
        rule("table_row_count_to_be_between", min_value=1000),
        rule("table_columns_to_match_set", column_set=names),
        rule("column_values_to_not_be_null", column="n2", mostly=0.95),
        rule("column_values_to_be_between", column="n0", min_value=-6, max_value=6, mostly=0.999),
        rule("column_values_to_be_between", column="n1", min_value=-20, max_value=20, mostly=0.999),
        rule("column_values_to_be_unique", column="id"),
        rule("column_values_to_be_in_set", column="c0", value_set=categories[0]),
        rule("column_values_to_be_in_set", column="c1", value_set=categories[1]),
        rule("column_values_to_match_regex", column="c2", regex="^v[0-9]{4}$"),
        rule("column_mean_to_be_between", column="n3", min_value=2, max_value=4),
        rule("column_stdev_to_be_between", column="n4", min_value=1, max_value=4),
        rule(
            "column_quantile_values_to_be_between",
            column="n8",
            quantile_ranges={"quantiles": [0.05, 0.5, 0.95], "value_ranges": [[0, 100], [450, 550], [900, 1000]]},
        ),
        rule("column_value_lengths_to_equal", column="c3", value=5),
        rule("column_max_to_be_between", column="n9", min_value=900, max_value=1000),
        rule("column_unique_value_count_to_be_between", column="c4", min_value=10, max_value=2000),
    ]


SETUP = """
import json, os, sys, time, warnings
warnings.filterwarnings("ignore")
path, suite = sys.argv[1], json.loads(sys.argv[2])
"""
REPORT = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss knows the parent's too
peak_mb = int(peak.split()[1]) / 1024
print("\\n" + json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak_mb, "met": met}))
"""
OURS = """
import ibis.backends.duckdb
from airflow_mlops.adapters.ibis_rules import check_rules
started = time.perf_counter()
met = sum(check.outcome == "MET" for check in check_rules(path, suite))
"""
GREAT_EXPECTATIONS = """
import great_expectations as gx
import pandas
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
made = [ExpectationConfiguration(severity="critical", **entry).to_domain_obj() for entry in suite]
rules = gx.ExpectationSuite(name="suite", expectations=made)
started = time.perf_counter()
frame = pandas.read_parquet(path)
asset = context.data_sources.add_pandas("source").add_dataframe_asset("rows")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
met = sum(bool(result.success) for result in batch.validate(rules, result_format="SUMMARY").results)
"""
BY_HAND = """
import duckdb
started = time.perf_counter()
found = duckdb.connect().execute(f'''
    SELECT count(*), avg((n2 IS NOT NULL AND NOT isnan(n2))::INT), avg((n0 BETWEEN -6 AND 6)::INT),
        avg((n1 BETWEEN -20 AND 20)::INT), count(DISTINCT id), sum((c0 NOT IN ('v0000', 'v0001'))::INT),
        sum((c1 NOT IN ('v0000', 'v0001', 'v0002', 'v0003', 'v0004'))::INT),
        sum((NOT regexp_full_match(c2, 'v[0-9]{{4}}'))::INT), avg(n3), stddev_samp(n4),
        quantile_cont(n8, [0.05, 0.5, 0.95]), sum((length(c3) != 5)::INT), max(n9), count(DISTINCT c4)
    FROM read_parquet('{path}')''').fetchall()
met = 15
"""


def measure_time() -> Entry:
    """Compare the seconds, from opening the file to the last verdict."""
    found = _runs()
    return Entry(
        name="validation_time",
        ours=found["ours"]["seconds"],
        baseline=found["Great Expectations"]["seconds"],
        unit="s",
        better="lower",
    )


def measure_memory() -> Entry:
    """Compare the most memory that the processes held."""
    found = _runs()
    return Entry(
        name="validation_memory",
        ours=found["ours"]["peak_mb"],
        baseline=found["Great Expectations"]["peak_mb"],
        unit="MB",
        better="lower",
    )


@functools.cache
def _runs() -> dict[str, dict[str, Any]]:
    """Run all three on the same rows, the fast ones twice, and keep the faster run."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.environ.get("BENCH_PARQUET") or str(_write(Path(folder) / "rows.parquet"))
        suite = _suite(pq.read_schema(path).names)
        scripts = {"ours": OURS, "by hand": BY_HAND, "Great Expectations": GREAT_EXPECTATIONS}
        found = {
            name: min(
                (_run(script, path, suite) for _ in range(1 if script is GREAT_EXPECTATIONS else 2)),
                key=lambda run: run["seconds"],
            )
            for name, script in scripts.items()
        }
    for name, run in found.items():
        print(f"  {name}: {run['seconds']:.2f} s, {run['peak_mb']:.0f} MB, {run['met']} of {len(suite)} rules met")
    if any(run["met"] != len(suite) for run in found.values()):
        raise RuntimeError(f"Not comparable: not all {len(suite)} rules are met everywhere.")
    print(f"  ours over the scan by hand: {found['ours']['seconds'] / found['by hand']['seconds']:.2f} of its time")
    return found


def _run(script: str, path: str, suite: list[dict[str, Any]]) -> dict[str, Any]:
    found = subprocess.run(
        [sys.executable, "-c", SETUP + script + REPORT, path, json.dumps(suite)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "GX_ANALYTICS_ENABLED": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(
        next(line for line in reversed(found.stdout.splitlines()) if line.startswith("{"))
    )
    return result


def _write(path: Path, chunk_rows: int = 500_000) -> Path:
    rng, writer = np.random.default_rng(1), None
    for start in range(0, N_ROWS, chunk_rows):
        table = pa.table(_chunk(rng, start, min(chunk_rows, N_ROWS - start)))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    if writer is None:
        raise RuntimeError("No rows to measure on.")
    writer.close()
    return path


def _chunk(rng: np.random.Generator, start: int, n_rows: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for index in range(10):
        if index < 6:
            values = rng.normal(index, 1 + index / 3, n_rows)
        elif index < 8:
            values = rng.lognormal(0, 0.7, n_rows)
        else:
            values = rng.integers(0, 1000, n_rows).astype(np.float64)
        if index in (2, 7):
            values[rng.random(n_rows) < 0.02] = np.nan
        columns[f"n{index}"] = values
    for index, n in enumerate(N_CATEGORIES):
        weights = np.arange(1, n + 1) ** -0.7
        codes = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(n_rows)).clip(0, n - 1)
        names = pa.array([f"v{code:04d}" for code in range(n)])
        columns[f"c{index}"] = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), names).cast(pa.string())
    columns["y"] = (columns["n0"] > 0).astype(np.int64)
    columns["id"] = np.arange(start, start + n_rows)
    return columns
