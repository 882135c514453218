"""Great Expectations: its suites, which are the language of rules, and its runs, for what no engine takes."""

from __future__ import annotations

from airflow_mlops.adapters.great_expectations.run import run_suite
from airflow_mlops.adapters.great_expectations.suites import check_suite, columns_of, read_suite, suite_of

__all__ = ["check_suite", "columns_of", "read_suite", "run_suite", "suite_of"]
