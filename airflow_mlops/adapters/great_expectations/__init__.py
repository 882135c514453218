"""Great Expectations: its suites, which are the language of rules.

What runs them, for the rules that no engine takes, is in :mod:`airflow_mlops.adapters.great_expectations.run`, since
its import takes seconds.
"""

from __future__ import annotations

from airflow_mlops.adapters.great_expectations.suites import check_suite, columns_of, read_suite, suite_of

__all__ = ["check_suite", "columns_of", "read_suite", "suite_of"]
