"""threadpoolctl: how many threads the libraries of this process compute with."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import threadpoolctl
from joblib import cpu_count, effective_n_jobs

__all__ = ["blas_kernels", "count_threads", "limited_threads", "share_processors", "thread_variables"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def blas_kernels() -> str:
    """Return the loaded libraries of linear algebra and the kind of processor that each computes for."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    found = {f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip() for pool in pools}
    return ", ".join(sorted(found))


def count_threads(model: Any) -> int:
    """Return the most threads that a loaded library may use, or the model's ``n_jobs`` where that is more.

    :param model: a fitted one: its libraries have been loaded.
    """
    params = model.get_params() if hasattr(model, "get_params") else {}
    jobs = [n for name, n in params.items() if name.split("__")[-1] == "n_jobs" and isinstance(n, int)]
    pools = [int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]
    return max([1, *pools, *(int(effective_n_jobs(n)) for n in jobs)])


def thread_variables(n_threads: int) -> dict[str, str]:
    """Return the environment variables by which a new process computes with so many threads."""
    return dict.fromkeys(_VARIABLES, str(n_threads))


def limited_threads(n_threads: int) -> contextlib.AbstractContextManager[Any]:
    """Compute with so many threads while the block runs."""
    limits: contextlib.AbstractContextManager[Any] = threadpoolctl.threadpool_limits(n_threads)
    return limits


def share_processors(n_processes: int) -> None:
    """Let this process compute with its share of the processors from now on, unless its environment says otherwise.

    :param n_processes: that compute at the same time.
    """
    n_threads = max(1, cpu_count() // n_processes)
    for name, value in thread_variables(n_threads).items():  # for libraries that are still to be loaded
        os.environ.setdefault(name, value)
    if os.environ["OMP_NUM_THREADS"] == str(n_threads):
        threadpoolctl.threadpool_limits(n_threads)  # for those that have been
