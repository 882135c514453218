"""Steps in processes of their own that die by SIGKILL on the way.

Each process is forked from one that has imported this module, because that takes seconds.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.mlflow.trials import TrialRuns
from airflow_mlops.adapters.optuna import Study
from airflow_mlops.adapters.storage.inference_log import InferenceLog
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.steps.backtesting.backtest import backtest
from airflow_mlops.steps.training.tune import tune_model

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


def assert_killed(step: Callable[..., None], *arguments: Any) -> None:
    """Run a function of this module in a process of its own, and see that SIGKILL ended it."""
    process = _forks.Process(target=step, args=arguments)
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL


def tune(arguments: dict[str, Any], kill_before: str, variables: dict[str, str]) -> None:
    """Tune, and die before a method is called, or where the variables say so."""
    os.environ.update(variables)
    for owner in (Study, TrialRuns):
        if hasattr(owner, kill_before):
            setattr(owner, kill_before, _die)
    tune_model(**arguments)


def replay(arguments: dict[str, Any], folder: str, kill_before: str, nth: int) -> None:
    """Replay history below a folder, and die before a method is called for the nth time."""
    os.chdir(folder)
    owner = next(each for each in (InferenceLog, Mlflow, Storage) if hasattr(each, kill_before))
    real, calls = getattr(owner, kill_before), itertools.count(1)

    def call_or_die(*args: Any, **kwargs: Any) -> Any:
        return _die() if next(calls) == nth else real(*args, **kwargs)

    setattr(owner, kill_before, call_or_die)
    backtest(**arguments)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
