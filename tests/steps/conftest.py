from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_mlops.adapters.mlflow import Mlflow
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.steps import Platform
from tests.steps.cases import Bench, small_frame


def make_bench(folder: Path, mlflow_database: Path) -> Bench:
    shutil.copy(mlflow_database, folder / "mlflow.db")
    (folder / "inbox").mkdir()
    platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"))
    return Bench(platform, folder / "inbox")


@pytest.fixture
def bench(tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A platform of its own with nothing delivered. Without a server, MLflow keeps models below the working folder."""
    monkeypatch.chdir(tmp_path)
    return make_bench(tmp_path, mlflow_database)


@pytest.fixture
def delivered(bench: Bench) -> Bench:
    """300 good rows have been delivered."""
    bench.deliver(small_frame())
    return bench


@pytest.fixture
def serving(delivered: Bench) -> Bench:
    """Version 1 is champion, and it is not hard to beat."""
    assert delivered.run("first", params={"alpha": 50.0}).promotion is not None
    return delivered


@pytest.fixture
def two_versions(serving: Bench) -> Bench:
    """Version 2 is champion, and version 1 was before."""
    assert serving.run("second").promotion is not None
    return serving
