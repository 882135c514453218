"""Import the heavy libraries once, in the process that tasks are forked from.

Airflow's LocalExecutor and Celery's prefork pool start every task as a fork. What the parent has imported
is there at once in each of them; what it has not costs each task three to ten seconds. Call
:func:`preload` from ``$AIRFLOW_HOME/config/airflow_local_settings.py``::

    from airflow_mlops.preload import preload

    preload()

It imports in the scheduler (LocalExecutor) and in Celery workers, and nowhere else: the API server, the
triggerer and the DAG processor would only pay for it.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
import warnings
from collections.abc import Sequence

__all__ = ["HEAVY_MODULES", "is_parent_of_tasks", "preload"]

log = logging.getLogger(__name__)

HEAVY_MODULES = (
    "airflow_mlops.steps.pipeline",
    "airflow_mlops.adapters.great_expectations",
    "airflow_mlops.adapters.evidently",
    "airflow_mlops.operators",
    # What MLflow and skops import only once they are used.
    "git",
    "mlflow.models.display_utils",
    "mlflow.pyfunc.scoring_server",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "mlflow.store.model_registry.rest_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.tracing.processor.base_mlflow",
    "mlflow.tracking.request_header.registry",
    "mlflow.types.responses",
    "mlflow.utils.name_utils",
    "narwhals.stable.v2",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
)
"""What the steps import; importing them imports all that is heavy."""


def is_parent_of_tasks(argv: Sequence[str]) -> bool:
    """Return whether the process with this command line is the one that tasks are forked from.

    >>> is_parent_of_tasks(["airflow", "scheduler"]), is_parent_of_tasks(["airflow", "api-server"])
    (True, False)
    """
    return tuple(argv[1:2]) == ("scheduler",) or tuple(argv[1:3]) == ("celery", "worker")


def preload(modules: Sequence[str] = (), argv: Sequence[str] | None = None) -> tuple[str, ...]:
    """Import the heavy libraries if this process is the parent of tasks.

    A library that can't be imported is logged and left to the task that needs it.

    :param modules: more modules to import, such as those of your training functions' libraries.
    :param argv: the command line; by default this process's.
    :returns: the modules that were imported; none in any other process.
    """
    if not is_parent_of_tasks(sys.argv if argv is None else argv):
        return ()
    started, imported = time.perf_counter(), []
    for name in (*HEAVY_MODULES, *modules):
        try:
            with warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
            imported.append(name)
        except ImportError as error:
            log.warning("preload: module=%s error=%s", name, error)
    log.info("preload: n_modules=%d seconds=%.1f", len(imported), time.perf_counter() - started)
    return tuple(imported)
