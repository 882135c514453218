"""Thin operators, one per step: build what it needs, call it, record, then return, raise or skip.

What a module of this folder has in its ``__all__`` is public here: a new module is one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops.operators.approve import *
from airflow_mlops.operators.conversion import *
from airflow_mlops.operators.data import *
from airflow_mlops.operators.evaluate import *
from airflow_mlops.operators.monitor import *
from airflow_mlops.operators.performance import *
from airflow_mlops.operators.predict import *
from airflow_mlops.operators.promote import *
from airflow_mlops.operators.retrain import *
from airflow_mlops.operators.rollout import *
from airflow_mlops.operators.serving_check import *
from airflow_mlops.operators.split import *
from airflow_mlops.operators.train import *
from airflow_mlops.operators.tune import *
from airflow_mlops.operators.validate import *

if not TYPE_CHECKING:  # they take whatever stands above
    __all__ = sorted(name for name in globals() if name.endswith("Operator"))

    def __getattr__(name: str) -> Any:
        from airflow_mlops._renamed import refuse_old_name

        refuse_old_name(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
