from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.steps import Platform
from tests.server.cases import Stage, add_version
from tests.server.models import TRUSTED, Patient, Stranger, Touchy


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Platform:
    """Versions that tests serve and do not change: two good ones, and some that are odd in their own ways."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    before = Path.cwd()
    os.chdir(folder)  # without a server, MLflow keeps models below the working folder
    try:
        platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"), TRUSTED)
        for model in (None, None, Touchy(), Stranger(), Patient()):
            add_version(platform, "served", model)
    finally:
        os.chdir(before)
    return platform


@pytest.fixture
def stage(registry: Platform, tmp_path: Path) -> Stage:
    """Version 1 of ``served`` is to serve; the storage is this test's own."""
    stage = Stage(replace(registry, storage=Storage(str(tmp_path / "storage"))))
    stage.deploy()
    return stage
