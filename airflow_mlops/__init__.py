"""Continuous training of models as something a data engineer declares, on Apache Airflow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from airflow_mlops._version import __version__ as __version__

if TYPE_CHECKING:
    from airflow_mlops.assets import alert_asset as alert_asset
    from airflow_mlops.assets import model_asset as model_asset
    from airflow_mlops.pipelines import BatchScoring as BatchScoring
    from airflow_mlops.pipelines import ContinuousTraining as ContinuousTraining
    from airflow_mlops.pipelines import insert_task as insert_task
    from airflow_mlops.specs import *

_SPECS = "airflow_mlops.specs"
_LAZY = {
    "BatchScoring": "airflow_mlops.pipelines.batch_scoring",
    "ContinuousTraining": "airflow_mlops.pipelines.continuous_training",
    "alert_asset": "airflow_mlops.assets",
    "insert_task": "airflow_mlops.pipelines.insertion",
    "model_asset": "airflow_mlops.assets",
}
"""What is public beside the specs, and where it is. Nothing of it is imported before it is asked for."""

if not TYPE_CHECKING:  # to type checkers a name that is not above is an error

    def __getattr__(name: str) -> Any:
        if name == "__all__":
            return sorted(["__version__", *_LAZY, *importlib.import_module(_SPECS).__all__])
        if name in _LAZY:
            return getattr(importlib.import_module(_LAZY[name]), name)
        if not name.startswith("_"):
            specs = importlib.import_module(_SPECS)
            if name in specs.__all__:
                return getattr(specs, name)
        importlib.import_module("airflow_mlops._renamed").refuse_old_name(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return __getattr__("__all__")
