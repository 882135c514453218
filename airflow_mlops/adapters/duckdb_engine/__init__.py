"""DuckDB: reads source files, answers questions about a snapshot, makes the feature rows."""

from __future__ import annotations

from airflow_mlops.adapters.duckdb_engine.joins.features import feature_rows
from airflow_mlops.adapters.duckdb_engine.joins.inference import count_sides
from airflow_mlops.adapters.duckdb_engine.joins.outcomes import LoggedOutcomes, open_outcomes
from airflow_mlops.adapters.duckdb_engine.profiles.counts import count_columns
from airflow_mlops.adapters.duckdb_engine.profiles.profile import examples_that_are_not, profile_columns, time_range
from airflow_mlops.adapters.duckdb_engine.profiles.samples import numeric_columns, sample_rows
from airflow_mlops.adapters.duckdb_engine.sources.files import TypesWidenedError, scan_source
from airflow_mlops.adapters.duckdb_engine.sources.partitions import files_in_window

__all__ = [
    "LoggedOutcomes",
    "TypesWidenedError",
    "count_columns",
    "count_sides",
    "examples_that_are_not",
    "feature_rows",
    "files_in_window",
    "numeric_columns",
    "open_outcomes",
    "profile_columns",
    "sample_rows",
    "scan_source",
    "time_range",
]
