"""Waiting as a task.

What a module of this folder has in its ``__all__`` is public here: a new module is one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlops.sensors.data import *
from airflow_mlops.sensors.model import *
from airflow_mlops.sensors.monitor import *

if not TYPE_CHECKING:  # they take whatever stands above
    __all__ = sorted(name for name in globals() if name.endswith("Sensor"))
