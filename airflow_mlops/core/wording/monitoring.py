"""The sentences of the monitoring: of a drift check, and of a performance check."""

from __future__ import annotations

from airflow_mlops.core.wording._drift import COLUMN_RULES, DRIFT_RULES
from airflow_mlops.core.wording._performance import PERFORMANCE_RULES
from airflow_mlops.core.wording._texts import wording_by_rule

__all__ = ["say"]

say = wording_by_rule({**COLUMN_RULES, **DRIFT_RULES, **PERFORMANCE_RULES})
