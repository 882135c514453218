from __future__ import annotations

import importlib.util
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.stage import Stage
from tests.steps.cases import Bench, small_frame

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from fastapi.testclient import TestClient

    from airflow_mlops.steps import Platform


def load_dag_file(name: str) -> ModuleType:
    """Import a file of ``dags/`` anew, as the DAG processor does."""
    spec = importlib.util.spec_from_file_location(f"tests_dag_{name}", REPOSITORY / "dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Ended:
    """A DAG run that has ended."""

    run: DagRun

    @property
    def state(self) -> str:
        return str(self.run.state)

    @property
    def run_id(self) -> str:
        return str(self.run.run_id)

    @property
    def states(self) -> dict[str, str]:
        return {task.task_id: str(task.state) for task in self.run.get_task_instances()}

    @property
    def tries(self) -> dict[str, int]:
        return {task.task_id: task.try_number for task in self.run.get_task_instances()}

    @property
    def xcoms(self) -> dict[tuple[str, str], Any]:
        """What all tasks left, by task and key."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            rows = session.scalars(XComModel.get_many(run_id=self.run_id, dag_ids=self.run.dag_id))
            return {(row.task_id, row.key): XComModel.deserialize_value(row) for row in rows}

    def result(self, task_id: str) -> Any:
        return self.xcoms[task_id, "return_value"]


@dataclass(frozen=True)
class House:
    """An Airflow whose storage, inbox and MLflow are this test's own."""

    folder: Path
    run_dag: Callable[..., DagRun]

    @property
    def inbox(self) -> Path:
        """Where the example DAGs wait for files."""
        return self.folder / "inbox" / "co2"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def platform(self) -> Platform:
        from airflow_mlops.hooks.platform import get_platform

        return get_platform("mlflow_default")

    def run(self, dag: DAG, conf: Mapping[str, Any] | None = None) -> Ended:
        return Ended(self.run_dag(dag, run_conf=dict(conf or {})))


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[sa.Engine, str]]:
    """A schema of our own in a real PostgreSQL, and the Airflow connection ``warehouse`` to it."""
    import sqlalchemy as sa

    url = sa.make_url(os.environ.get("MLOPS_TEST_POSTGRES", "postgresql+psycopg2://postgres@127.0.0.1:5432/test"))
    engine = sa.create_engine(url, connect_args={"connect_timeout": 3})
    schema = f"mlops_{uuid.uuid4().hex[:12]}"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at MLOPS_TEST_POSTGRES")
    settings = {
        "conn_type": "postgres",
        "host": url.host,
        "port": url.port,
        "login": url.username,
        "password": url.password or "s3cret",
        "schema": url.database,
    }
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(settings))
    yield engine, schema
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


@pytest.fixture(scope="session")
def house_stage(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Stage:
    """The folder of all houses."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    return Stage(folder, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def house(house_stage: Stage, run_dag: Callable[..., DagRun], monkeypatch: pytest.MonkeyPatch) -> House:
    """A house with nothing in it."""
    folder = house_stage.folder
    house = House(folder, run_dag)
    house_stage.after(house)
    monkeypatch.chdir(folder)  # without a server, MLflow keeps models below the working folder
    monkeypatch.syspath_prepend(str(REPOSITORY))
    monkeypatch.setenv("AIRFLOW_HOME", str(folder))  # the example DAGs' paths begin with it
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(folder / "storage"))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.test")
    connection = {"conn_type": "mlflow", "host": house.tracking_uri}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))
    return house


class Person:
    """Sits at Airflow's REST API and answers what is asked, from a thread, while a DAG runs in this process."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.asked: list[dict[str, Any]] = []

    def answers(self, option: str, *, note: str = "", first: Any = None) -> threading.Thread:
        """Answer the next question.

        :param first: what happens between the question and the answer.
        """
        thread = threading.Thread(target=self._answer, args=(option, note, first))
        thread.start()
        return thread

    def _answer(self, option: str, note: str, first: Any) -> None:
        known, end = len(self.asked), time.monotonic() + 300  # where the machine is busy
        while time.monotonic() < end and len(self.asked) == known:
            found = self.client.get("/api/v2/dags/~/dagRuns/~/hitlDetails", params={"response_received": False}).json()
            for detail in found["hitl_details"]:
                self.asked.append(detail)
                if first:
                    first()
                task = detail["task_instance"]
                place = f"dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
                answer = {"chosen_options": [option], "params_input": {"note": note}}
                self.client.patch(f"/api/v2/{place}/{task['map_index']}/hitlDetails", json=answer).raise_for_status()
            time.sleep(0.2)


@pytest.fixture
def person(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    with TestClient(create_app(apps="core"), base_url="http://testserver") as client:
        client.headers["Authorization"] = f"Bearer {client.get('/auth/token').json()['access_token']}"
        yield Person(client)


@pytest.fixture
def bench(house: House) -> Bench:
    inbox = house.folder / "inbox"
    inbox.mkdir()
    bench = Bench(house.platform, inbox)
    bench.deliver(small_frame())
    return bench
