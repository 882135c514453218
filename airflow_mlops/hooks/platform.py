"""What ``[mlops]`` in Airflow's configuration says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow.sdk import conf

from airflow_mlops.hooks.mlflow import MlflowHook

if TYPE_CHECKING:
    from airflow_mlops.adapters.storage.store import Storage, Watermark
    from airflow_mlops.steps import Platform

__all__ = ["get_platform", "get_storage", "get_watermark", "report_url"]


def get_storage() -> Storage:
    """Return the storage at ``[mlops] storage_root``, by default ``$AIRFLOW_HOME/mlops``, with its journals."""
    from airflow_mlops.hooks.storage import open_storage

    home = os.environ.get("AIRFLOW_HOME", os.path.expanduser("~/airflow"))
    return open_storage(
        conf.get("mlops", "storage_root", fallback="") or f"{home}/mlops",
        conf.get("mlops", "journal_root", fallback=""),
        conf.get("mlops", "journal_conn_id", fallback=""),
    )


def get_platform(mlflow_conn_id: str) -> Platform:
    """Return storage, tracking server, and what may be loaded.

    :raises UnavailableError: when MLflow does not answer.
    """
    from airflow_mlops.steps import Platform

    mlflow = MlflowHook(mlflow_conn_id).get_conn()
    mlflow.check()
    trusted = conf.get("mlops", "trusted_types", fallback="")
    return Platform(
        get_storage(),
        mlflow,
        tuple(name.strip() for name in trusted.split(",") if name.strip()),
        allow_pickle=conf.getboolean("mlops", "allow_pickle", fallback=False),
    )


def get_watermark(name: str) -> Watermark:
    """Return the note of how far somebody has come with files that arrive."""
    from airflow_mlops.adapters.storage.store import Watermark

    return Watermark(get_storage(), name)


def report_url(report_uri: str) -> str:
    """Return where the plugin shows a report of the storage."""
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/mlops/{report_uri}" if report_uri else ""
