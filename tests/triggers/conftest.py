from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlops.hooks import watch
from airflow_mlops.steps.data import watch as steps_watch
from tests.operators.conftest import warehouse

__all__ = ["warehouse"]


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A storage of this test's own, an Airflow that stores events at once, and no connection of another test."""
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))
    monkeypatch.setattr(steps_watch, "STORED_S", 0.0)
    watch._connections.clear()
    yield tmp_path / "storage"
    watch._connections.clear()
