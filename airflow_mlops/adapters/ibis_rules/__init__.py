"""Rules in Great Expectations' words, compiled by Ibis and answered by DuckDB in one scan."""

from __future__ import annotations

from airflow_mlops.adapters.ibis_rules._arguments import column_of, columns_of
from airflow_mlops.adapters.ibis_rules.checks import check_rules
from airflow_mlops.adapters.ibis_rules.parting import bad_rows, good_rows, is_row_wise

__all__ = ["bad_rows", "check_rules", "column_of", "columns_of", "good_rows", "is_row_wise"]
