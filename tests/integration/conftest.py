from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.demo.api import AirflowApi
from include.demo.services import free_port, running
from tests.integration.house import House, QuickDemo


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One running Airflow for all that look at what starts a training; a start takes half a minute."""
    folder: Path = tmp_path_factory.mktemp("house")
    (folder / "dags").mkdir()
    demo = QuickDemo(folder / "demo", airflow_port=free_port(), mlflow_port=free_port(), dags=folder / "dags")
    with running(demo, lambda _: None):
        yield House(demo, AirflowApi(demo))
