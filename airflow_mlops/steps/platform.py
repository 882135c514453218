"""What every step is given: the storage, the tracking server, and what may be loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.values import PipelineRun, Value

if TYPE_CHECKING:  # steps that do not talk to MLflow need not wait for its import
    from airflow_mlops.adapters.mlflow.client import Mlflow

__all__ = ["Platform", "folder_name", "inference_folder", "short"]


@dataclass(frozen=True)
class Platform:
    """Where a pipeline keeps things.

    :param trusted_types: import paths of types that models may hold beside those of the libraries that are known.
    :param allow_pickle: whether models may be stored and loaded by pickle, where a spec asks for it.
    :param draws: whether reports get pictures. A replay of history makes hundreds of reports that nobody looks at.
    """

    storage: Storage
    mlflow: Mlflow
    trusted_types: tuple[str, ...] = ()
    allow_pickle: bool = False
    draws: bool = True

    def report_path(self, run: PipelineRun, name: str) -> tuple[str, str, str, str]:
        """Return the storage path of one of a run's reports."""
        return ("reports", folder_name(run.pipeline), folder_name(run.run_id), name)

    def record(self, run: PipelineRun, name: str, value: Value, page: str) -> None:
        """Store a result as JSON and as a page, side by side."""
        self.storage.write_json(value.to_dict(), *self.report_path(run, f"{name}.json"))
        self.storage.write_text(page, *self.report_path(run, f"{name}.html"))

    def report_uri(self, run: PipelineRun, name: str) -> str:
        """Return the path of a run's report page, relative to the storage root."""
        return "/".join(self.report_path(run, f"{name}.html"))


def inference_folder(model_name: str, *, storage: Storage) -> Path:
    """Return the folder of a model's inference log, which need not be there."""
    return storage.path("inference", folder_name(model_name))


def short(digest: str) -> str:
    """Return the part of a digest that names a folder."""
    return digest.removeprefix("sha256:")[:16]


def folder_name(text: str) -> str:
    """Return a name that is a plain folder name on every file system."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip(".") or "_"
