"""Promotion through a real MLflow over HTTP that fails or is slow at one request, and a storage that is full."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from airflow_mlops.adapters.mlflow import Mlflow
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.errors import UnavailableError
from airflow_mlops.steps import Platform
from airflow_mlops.steps.pipeline import PipelineResult
from airflow_mlops.steps.promote import promote_model
from airflow_mlops.steps.verify import verify_model
from tests.steps.cases import Bench, Left, left_by, run_named, small_frame
from tests.steps.conftest import make_bench

PROMOTED = Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
RUN = run_named("first")
SECRET = {"Authorization": "Bearer s3cr3t"}


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


class Server:
    """MLflow's own application, with what a test puts before it."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application
        self.fault: Callable[[str], str | None] = lambda _: None
        self.url = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        fault = self.fault(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].rpartition('mlflow/')[2]}")
        if fault is None:
            return self.application(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(fault, [("Content-Length", "0")])
        return []


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> tuple[Bench, PipelineResult]:
    """Version 1 is blessed, registered, and waits."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("held")
        patch.chdir(folder)
        bench = make_bench(folder, mlflow_database)
        bench.deliver(small_frame())
        return bench, bench.run(RUN.run_id, bench.spec(promotion={"policy": "hold"}))


@pytest.fixture(scope="module")
def application(held: tuple[Bench, PipelineResult]) -> Iterator[Server]:
    """MLflow's server in this process, over the database of ``held``."""
    bench, _ = held
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_SERVER_FILE_STORE", bench.platform.mlflow.tracking_uri)
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(bench.inbox.parent / "artifacts"))
        from mlflow.server import app

        server = Server(app)
        http = make_server("127.0.0.1", 0, server, threaded=True, request_handler=Quiet)
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Mlflow(server.url).get_alias("small")
        mlflow.set_registry_uri("")  # as the server's first answer has set it for its whole process, which is ours
        yield server
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def server(application: Server) -> Iterator[Server]:
    yield application
    application.fault = lambda _: None


@pytest.fixture
def platform(held: tuple[Bench, PipelineResult], server: Server, tmp_path: Path) -> Iterator[Platform]:
    """The registry over HTTP, with a journal of this test's own; the alias and the note are removed afterwards."""
    from mlflow import MlflowClient

    storage = Storage(str(held[0].platform.storage.root), Storage(str(tmp_path)))
    yield Platform(storage, Mlflow(server.url, SECRET))
    server.fault = lambda _: None
    client = MlflowClient(held[0].platform.mlflow.tracking_uri)
    client.delete_registered_model_alias("small", "champion")
    if "mlops.journal" in client.get_registered_model("small").tags:
        client.delete_registered_model_tag("small", "mlops.journal")


FAULTS = {
    "before the entry": ("GET registered-models/get", (None, ())),
    "at the alias": ("POST registered-models/alias", (None, PROMOTED.journal)),
    "at the note": ("POST registered-models/set-tag", (1, PROMOTED.journal)),
    "at the outcome": ("POST runs/set-tag", (1, PROMOTED.journal)),
}


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable", "slow"])
@pytest.mark.parametrize("place", FAULTS)
def test_an_mlflow_that_fails_on_the_way_is_an_outage_and_the_retry_finishes(
    held: tuple[Bench, PipelineResult],
    platform: Platform,
    server: Server,
    place: str,
    status: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1" if status == "slow" else "30")
    request, (alias, journal) = FAULTS[place]
    over = threading.Event()

    def fail(asked: str) -> str | None:
        if not asked.startswith(request):
            return None
        if status == "slow":
            over.wait(20)
            return "504 Gateway Timeout"
        return status

    server.fault = fail
    with pytest.raises(UnavailableError, match=f"MLflow at {server.url} does not answer") as caught:
        promote_model(held[1].version, held[1].blessing, platform=platform, run=RUN)
    over.set()
    server.fault = lambda _: None
    left = left_by(platform)
    assert (left.alias, left.journal) == (alias, journal)
    record = promote_model(held[1].version, held[1].blessing, platform=platform, run=RUN)
    assert record is not None
    assert record.sequence == 1
    assert left_by(platform) == PROMOTED
    verify_model("small", platform=platform).require_whole()
    assert "s3cr3t" not in caplog.text + str(caught.value)


def test_an_mlflow_that_dies_while_the_files_are_read_promotes_nothing(
    held: tuple[Bench, PipelineResult], platform: Platform, server: Server
):
    server.fault = lambda asked: "500 Internal Server Error" if "model-versions" in asked else None
    with pytest.raises(UnavailableError):
        promote_model(held[1].version, held[1].blessing, platform=platform, run=RUN)
    assert left_by(replace(platform, mlflow=held[0].platform.mlflow)) == replace(PROMOTED, alias=None, journal=())
