"""What several commands are told: where records are kept, and where MLflow is."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from airflow_mlops.adapters.storage.store import Storage
    from airflow_mlops.steps import Platform

__all__ = [
    "Commands",
    "journal_conn_id",
    "platform_of",
    "storage_of",
    "storage_options",
    "storage_root",
    "tracking_options",
    "tracking_uri",
]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def storage_options() -> argparse.ArgumentParser:
    """Return the options of a command that reads or writes the storage."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--storage-root",
        default=os.environ.get("AIRFLOW__MLOPS__STORAGE_ROOT", "mlops"),
        help="folder of snapshots, reports and journals (default: $AIRFLOW__MLOPS__STORAGE_ROOT, or ./mlops)",
    )
    options.add_argument(
        "--journal-root",
        default=os.environ.get("AIRFLOW__MLOPS__JOURNAL_ROOT", ""),
        help="folder, or s3://bucket/folder, of journals and ledgers (default: $AIRFLOW__MLOPS__JOURNAL_ROOT, or the "
        "storage root)",
    )
    return options


def tracking_options() -> argparse.ArgumentParser:
    """Return the option of a command that talks to MLflow."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="MLflow's (default: $MLFLOW_TRACKING_URI, or a SQLite file in the storage root)",
    )
    return options


def storage_root(arguments: argparse.Namespace) -> str:
    """Return the storage root, as an absolute path."""
    return os.path.abspath(str(arguments.storage_root))


def journal_conn_id() -> str:
    """Return the connection that journals on S3 are reached with, as the environment says."""
    return os.environ.get("AIRFLOW__MLOPS__JOURNAL_CONN_ID", "")


def tracking_uri(arguments: argparse.Namespace) -> str:
    """Return MLflow's, by default a file in the storage root."""
    uri: str | None = arguments.tracking_uri
    return uri or f"sqlite:///{storage_root(arguments)}/mlflow.db"


def storage_of(arguments: argparse.Namespace) -> Storage:
    """Return the storage, with its journals."""
    from airflow_mlops.hooks.storage import open_storage

    return open_storage(storage_root(arguments), arguments.journal_root, journal_conn_id())


def platform_of(arguments: argparse.Namespace, *, must_answer: bool = True) -> Platform:
    """Return storage and MLflow, and what may be loaded.

    :param must_answer: whether it is an error if MLflow does not answer now.
    :raises UnavailableError: when it must, and does not.
    """
    from airflow_mlops.adapters.mlflow.client import Mlflow
    from airflow_mlops.steps import Platform

    trusted = tuple(os.environ.get("AIRFLOW__MLOPS__TRUSTED_TYPES", "").replace(",", " ").split())
    platform = Platform(storage_of(arguments), Mlflow(tracking_uri(arguments)), trusted)
    if must_answer:
        platform.mlflow.check()
    return platform
