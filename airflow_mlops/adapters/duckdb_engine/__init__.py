"""DuckDB: reads source files, answers questions about a snapshot, makes the feature rows."""

from __future__ import annotations

from airflow_mlops.adapters.duckdb_engine.features import feature_rows, time_cut
from airflow_mlops.adapters.duckdb_engine.files import scan_source
from airflow_mlops.adapters.duckdb_engine.profile import examples_that_are_not, quantiles, time_range

__all__ = ["examples_that_are_not", "feature_rows", "quantiles", "scan_source", "time_cut", "time_range"]
