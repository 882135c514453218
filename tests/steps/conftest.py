from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.steps import Platform
from airflow_mlops.steps.pipeline import PipelineResult
from tests.stage import Stage
from tests.steps.cases import Bench, deliver, hold_first, promote_first, promote_second


def make_bench(folder: Path, mlflow_database: Path) -> Bench:
    shutil.copy(mlflow_database, folder / "mlflow.db")
    (folder / "inbox").mkdir()
    return bench_in(folder)


def bench_in(folder: Path) -> Bench:
    platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"))
    return Bench(platform, folder / "inbox")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Stage:
    """The folder of all benches."""
    folder = tmp_path_factory.mktemp("bench")
    make_bench(folder, mlflow_database)
    return Stage(folder, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def bench(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A platform with nothing delivered. Without a server, MLflow keeps models below the working folder."""
    monkeypatch.chdir(stage.folder)
    bench = bench_in(stage.folder)
    stage.after(bench)
    return bench


@pytest.fixture
def delivered(bench: Bench, stage: Stage) -> Bench:
    """300 good rows have been delivered."""
    stage.after(bench, deliver)
    return bench


@pytest.fixture
def held(delivered: Bench, stage: Stage) -> PipelineResult:
    """Version 1 is blessed and registered, and waits to be promoted."""
    result: PipelineResult = stage.after(delivered, deliver, hold_first)
    return result


@pytest.fixture
def serving(bench: Bench, stage: Stage) -> Bench:
    """Version 1 is champion, and it is not hard to beat."""
    stage.after(bench, deliver, promote_first)
    return bench


@pytest.fixture
def two_versions(bench: Bench, stage: Stage) -> Bench:
    """Version 2 is champion, and version 1 was before."""
    stage.after(bench, deliver, promote_first, promote_second)
    return bench


class Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500, "the database is gone")

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def broken_url() -> Iterator[str]:
    """A server that answers everything with HTTP 500."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead_url() -> str:
    """An address where nothing listens any more."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(params=["dead_url", "broken_url"])
def outage(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))
