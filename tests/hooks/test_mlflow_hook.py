from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops.errors import UnavailableError
from airflow_mlops.hooks.mlflow import MlflowHook


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch):
    """Define the connection, and return the hook of it."""

    def define(**settings: Any) -> MlflowHook:
        monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps({"conn_type": "mlflow", **settings}))
        return MlflowHook()

    return define


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str | None]]]:
    """A server, and the Authorization headers that it was sent."""
    headers: list[str | None] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", headers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("settings", "uri"),
    [
        ({"host": "http://mlflow:5000"}, "http://mlflow:5000"),
        ({"host": "http://mlflow:5000/"}, "http://mlflow:5000"),
        ({"host": "https://example.org/mlflow/"}, "https://example.org/mlflow"),
        ({"host": "mlflow"}, "http://mlflow"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "mlflow", "port": 443, "schema": "https"}, "https://mlflow:443"),
        ({"host": "http://mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "http://mlflow/", "port": 5000}, "http://mlflow:5000"),
        ({"host": "https://example.org/mlflow", "port": 8443}, "https://example.org:8443/mlflow"),
        ({}, "http://localhost"),
        ({"host": "sqlite:////var/lib/mlflow.db"}, "sqlite:////var/lib/mlflow.db"),
    ],
)
def test_the_tracking_uri_is_built_from_the_connection(connect, settings: dict[str, Any], uri: str):
    assert connect(**settings).get_conn().tracking_uri == uri


def test_login_and_password_are_basic_authentication(connect):
    headers = connect(host="http://mlflow", login="ada", password="s3cret").get_conn().headers
    assert headers == {"Authorization": f"Basic {base64.b64encode(b'ada:s3cret').decode()}"}


def test_a_token_goes_before_login_and_password(connect):
    hook = connect(host="http://mlflow", login="ada", password="s3cret", extra={"token": "t0ken"})
    assert hook.get_conn().headers == {"Authorization": "Bearer t0ken"}


def test_without_credentials_nothing_is_sent(connect):
    assert connect(host="http://mlflow").get_conn().headers == {}


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"login": "ada", "password": "s3cret"}, f"Basic {base64.b64encode(b'ada:s3cret').decode()}"),
        ({"extra": {"token": "t0ken"}}, "Bearer t0ken"),
        ({}, None),
    ],
)
def test_the_server_hears_the_credentials_with_every_request(
    connect, heard: tuple[str, list[str | None]], settings: dict[str, Any], header: str | None
):
    url, headers = heard
    mlflow = connect(host=url, **settings).get_conn()
    mlflow.check()
    mlflow.set_tags("a run", {"a": "tag"})
    assert headers == [header, header]


def test_secrets_are_in_no_repr_and_in_no_environment_variable_but_the_connection(
    connect, heard: tuple[str, list[str | None]]
):
    url, headers = heard
    hook = connect(host=url, login="ada", password="s3cret")
    mlflow = hook.get_conn()
    mlflow.set_tags("a run", {"a": "tag"})
    assert headers
    secrets = ("s3cret", base64.b64encode(b"ada:s3cret").decode())
    seen = f"{hook!r} {mlflow!r} {vars(hook)}"
    others = {key: value for key, value in os.environ.items() if key != "AIRFLOW_CONN_MLFLOW_DEFAULT"}
    for secret in secrets:
        assert secret not in seen
        assert secret not in str(others)


def test_secrets_are_not_in_the_message_of_an_outage(connect):
    hook = connect(host=_dead_url(), login="ada", password="s3cret")
    with pytest.raises(UnavailableError) as caught:
        hook.get_conn().set_tags("a run", {"a": "tag"})
    assert "s3cret" not in str(caught.value)
    assert base64.b64encode(b"ada:s3cret").decode() not in str(caught.value)


def test_the_button_says_that_mlflow_does_not_answer(connect):
    url = _dead_url()
    works, message = connect(host=url).test_connection()
    assert works is False
    assert message.startswith(f"MLflow at {url} does not answer: ConnectionError.")


def test_the_button_says_that_mlflow_answers(connect, heard: tuple[str, list[str | None]], tmp_path: Path):
    assert connect(host=heard[0]).test_connection() == (True, "MLflow answers.")
    assert connect(host=f"sqlite:///{tmp_path}/mlflow.db").test_connection() == (True, "MLflow answers.")


def _dead_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
