"""What a user writes: frozen pydantic models, in Python or YAML.

What a module of this folder has in its ``__all__`` and is a spec is public here, and in :mod:`airflow_mlops`: a new
module is one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlops.specs import _base
from airflow_mlops.specs.conversion import *
from airflow_mlops.specs.data import *
from airflow_mlops.specs.evaluate import *
from airflow_mlops.specs.inference import *
from airflow_mlops.specs.metrics import *
from airflow_mlops.specs.monitor import *
from airflow_mlops.specs.notify import *
from airflow_mlops.specs.performance import *
from airflow_mlops.specs.pipeline import *
from airflow_mlops.specs.predict import *
from airflow_mlops.specs.promote import *
from airflow_mlops.specs.retrain import *
from airflow_mlops.specs.rollout import *
from airflow_mlops.specs.runner import *
from airflow_mlops.specs.server import *
from airflow_mlops.specs.serving_check import *
from airflow_mlops.specs.split import *
from airflow_mlops.specs.train import *
from airflow_mlops.specs.tune import *
from airflow_mlops.specs.validate import *

if not TYPE_CHECKING:  # they take whatever stands above
    __all__ = sorted(
        name for name, each in globals().items() if isinstance(each, type) and issubclass(each, _base.Spec)
    )

    def __getattr__(name: str) -> Any:
        from airflow_mlops._renamed import refuse_old_name

        refuse_old_name(__name__, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
