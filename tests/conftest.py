from __future__ import annotations

import configparser
import os
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prometheus_client  # noqa: F401  # before Feast, whose import has it count for a whole process in files
import pytest
from hypothesis import settings

from tests.hooks.telemetry_cases import OtlpReceiver, StatsdListener

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

# No deadline: the machine that tests run on is shared, and speed is what the benchmarks measure.
settings.register_profile("tests", deadline=None, max_examples=60, database=None, derandomize=True)
settings.load_profile("tests")

REPOSITORY = Path(__file__).parents[1]

# Airflow reads where it lives when it is imported, and any test may be the first to import it.
_home = tempfile.TemporaryDirectory(prefix="mlops-tests-")
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "MLFLOW"))]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _home.name,
    "AIRFLOW__API_AUTH__JWT_SECRET": "of tests, " * 8,
    "AIRFLOW__CORE__DAGS_FOLDER": f"{_home.name}/dags",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home.name}/airflow.db",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{_home.name}/logs",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",  # of two test processes on two cores, more would only wait for each other
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a server that a test has killed does not come back
}
(Path(_home.name) / "dags").mkdir()

# What the tests of a floor cost, by the folder that they (and the modules with doctests) stand in.
MARKS = {
    **dict.fromkeys(("core", "specs"), "core"),
    "adapters": "adapters",
    **dict.fromkeys(("pages", "steps"), "steps"),
    **dict.fromkeys(("hooks", "operators", "pipelines", "plugin", "sensors", "triggers"), "airflow"),
    "integration": "standalone",
}


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        floor = item.path.relative_to(REPOSITORY).parts[1]
        if floor in MARKS:
            item.add_marker(MARKS[floor])


def requirements_of(settings: str, extra: str = "") -> list[str]:
    """Return the lines that a ``setup.cfg`` asks for, without comments: its own, or those of an extra."""
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / settings)
    found = parser["options.extras_require"][extra] if extra else parser["options"]["install_requires"]
    return [line for line in found.split("\n") if line and not line.startswith("#")]


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with nothing in it; to migrate one takes seconds, to copy it none."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that can't import Airflow, and has another version of the library ``clashing``.

    What it shares with ours is at the end of its path, so that nothing need be installed.
    """
    folder = tmp_path_factory.mktemp("other") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "airflow").mkdir()
    (packages / "airflow" / "__init__.py").write_text("raise ImportError('there is no Airflow in this environment')\n")
    (packages / "clashing.py").write_text("VERSION = 2\n")
    (packages / "shared.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's own database, migrated."""
    from airflow.utils import db

    db.initdb()


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., DagRun]:
    """Run a DAG by ``dag.test()``, which wants it in the database first. The helpers are internal to Airflow."""

    def run(dag: DAG, **settings: Any) -> DagRun:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.collection import update_dag_parsing_results_in_db
        from airflow.serialization.serialized_objects import LazyDeserializedDAG
        from airflow.utils.session import create_session

        DagBundlesManager().sync_bundles_to_db()
        with create_session() as session:
            serialized = [LazyDeserializedDAG.from_dag(dag)]
            update_dag_parsing_results_in_db("dags-folder", None, serialized, {}, None, set(), session=session)
        return dag.test(**settings)

    return run


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Configure ``[metrics]``, and begin anew with it as the process of every task does."""
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    def configure(**settings: object) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)

    yield configure
    monkeypatch.undo()
    configure()


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    listener = StatsdListener()
    yield listener
    listener.close()


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver()
    yield receiver
    receiver.close()
