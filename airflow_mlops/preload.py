"""Import once, in the process that others are forked from, what each of them would import again.

Airflow's LocalExecutor and Celery's prefork pool start every task as a fork, and the DAG processor parses
every file in one. What the parent has imported is there at once in each of them. What it has not costs a
task three to ten seconds and a parse some fifty milliseconds, every time. Call :func:`preload` from
``$AIRFLOW_HOME/config/airflow_local_settings.py``::

    from airflow_mlops.preload import preload

    preload()

The scheduler (for the LocalExecutor) and Celery workers import what the steps need, the DAG processor what
DAG files need, which is light; the API server and the triggerer import nothing.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
import warnings
from collections.abc import Sequence

from airflow_mlops.core.flow import MONITORING, SCORING, TRAINING
from airflow_mlops.extras import has_extra

__all__ = ["AUTHORING_MODULES", "HEAVY_MODULES", "modules_for", "preload"]

log = logging.getLogger(__name__)

AUTHORING_MODULES = ("airflow_mlops.pipelines", "airflow_mlops.operators", "airflow_mlops.sensors")
"""What DAG files import. None of it is heavy."""

HEAVY_MODULES = (
    *AUTHORING_MODULES,
    *dict.fromkeys(step.function.partition(":")[0] for step in (*TRAINING, *MONITORING, *SCORING) if step.function),
    "airflow_mlops.steps.promotion.card",
    "airflow_mlops.steps.pipeline",
    "airflow_mlops.steps.runner",
    "airflow_mlops.adapters.sklearn.domain_classifier",
    "airflow_mlops.adapters.evidently",
    "airflow_mlops.adapters.great_expectations.run",
    "airflow_mlops.adapters.sklearn.isotonic",
    "airflow_mlops.adapters.sklearn.leakage",
    "airflow_mlops.adapters.optuna",
    "airflow_mlops.adapters.plots",
    "airflow_mlops.adapters.sklearn.preprocess",
    "airflow_mlops.hooks.sources",
    "ibis.backends.duckdb",
    # What MLflow and skops import only once they are used.
    "git",
    "matplotlib.backends.backend_svg",
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
"""What tasks import: the DAG file is parsed in each of them, and the steps import all that is heavy."""

_OF_EXTRAS = {"airflow_mlops.adapters.evidently": "drift-reports", "airflow_mlops.adapters.optuna": "tuning"}


def modules_for(argv: Sequence[str]) -> tuple[str, ...]:
    """Return what is worth importing in the process with this command line.

    >>> modules_for(["airflow", "scheduler"]) == HEAVY_MODULES
    True
    >>> modules_for(["airflow", "api-server"])
    ()
    """
    command = tuple(argv[1:3])
    if command[:1] == ("scheduler",) or command == ("celery", "worker"):
        return HEAVY_MODULES
    return AUTHORING_MODULES if command[:1] == ("dag-processor",) else ()


def preload(modules: Sequence[str] = (), argv: Sequence[str] | None = None) -> tuple[str, ...]:
    """Import what the forks of this process will need, if it is one that forks.

    A library that can't be imported is logged and left to the task that needs it; one of an extra that is not
    installed is passed over.

    :param modules: more modules for the tasks, such as those of your training functions.
    :param argv: the command line; by default this process's.
    :returns: the modules that were imported; none in a process that does not fork.
    """
    wanted = modules_for(sys.argv if argv is None else argv)
    if wanted is HEAVY_MODULES:
        missing = {module for module, extra in _OF_EXTRAS.items() if not has_extra(extra)}
        wanted = (*(name for name in wanted if name not in missing), *modules)
    started, imported = time.perf_counter(), []
    for name in wanted:
        try:
            with warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
            imported.append(name)
        except ImportError as error:
            log.warning("preload: module=%s error=%s", name, error)
    if set(AUTHORING_MODULES) <= set(imported):
        try:
            _rehearse()
        except Exception as error:  # it only saves time, and must not keep Airflow from starting
            log.warning("preload: the rehearsal failed: %s", error)
    if imported:
        log.info("preload: n_modules=%d seconds=%.1f", len(imported), time.perf_counter() - started)
    return tuple(imported)


def _rehearse() -> None:
    """Build a DAG that nobody sees: what Airflow and JSON Schema prepare at first use is prepared here."""
    from airflow_mlops.pipelines import ContinuousTraining

    spec = {
        "model_name": "rehearsal",
        "data": {"path": "/rehearsal.csv", "timestamp": "at"},
        "validation": {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "at"}}]},
        "training": {"target": "y", "estimator": "package.module:name", "params": {"alpha": 1.0}},
        "gate": {"metrics": {"mean_absolute_error": {}}},
    }
    ContinuousTraining.parse(spec).dag(auto_register=False)
