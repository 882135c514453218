"""MLflow's real scoring server, over real HTTP."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from sklearn.linear_model import Ridge

from airflow_mlops.adapters import scoring_server
from airflow_mlops.adapters.scoring_server import ScoringServer, request_body, server
from airflow_mlops.adapters.scoring_server.protocol import read_answer
from airflow_mlops.errors import ServingCheckError
from airflow_mlops.specs import ServingCheckSpec
from tests.processes import is_gone, wait_until
from tests.steps import serving_models
from tests.steps.serving_cases import FRAME, TARGET, package


@pytest.fixture(scope="module")
def ports() -> list[int]:
    """The ports that are left to be tried, the next one last."""
    return []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, ports: list[int]) -> Iterator[ScoringServer]:
    """A server that was started while this process knew secrets, and whose first port was taken by another server."""
    folder = tmp_path_factory.mktemp("server")
    model = package(Ridge(), folder)
    with contextlib.ExitStack() as kept:
        with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as other:
            patch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", "http://ada:s3cret@mlflow")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
            patch.setenv("MLFLOW_TRACKING_URI", "http://ada:s3cret@mlflow")
            ports[:] = [server._free_port(), other.getsockname()[1]]
            patch.setattr(server, "_free_port", ports.pop)
            started = kept.enter_context(scoring_server.serving(model, ServingCheckSpec(), folder=folder))
        yield started


def test_a_server_answers_with_the_model_s_predictions(running: ScoringServer):
    answer = running.ask(request_body(FRAME))
    assert (answer.status, answer.problem) == (200, "")
    np.testing.assert_array_equal(answer.predictions, Ridge().fit(FRAME, TARGET).predict(FRAME))
    assert answer.seconds > 0
    assert running.start_s > 0


@pytest.mark.parametrize(
    ("body", "options", "status", "problem"),
    [
        (b'{"dataframe_split": ', {}, 400, "BAD_REQUEST"),
        (request_body(FRAME.rename(columns={"x": "z"})), {}, 400, "INVALID_PARAMETER_VALUE"),
        (request_body(FRAME), {"content_type": "text/plain"}, 415, ""),
        (request_body(FRAME), {"method": "GET"}, 405, ""),
    ],
)
def test_a_refusal_is_an_answer_with_its_code_and_without_the_rows(
    running: ScoringServer, body, options, status, problem
):
    answer = running.ask(body, **options)
    assert (answer.status, answer.problem) == (status, problem)
    assert answer.predictions is None


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="variables are read from /proc")
def test_a_server_knows_no_secret_of_this_process(running: ScoringServer):
    variables = Path(f"/proc/{running.process_group}/environ").read_text()
    assert "PATH=" in variables
    assert "s3cret" not in variables
    assert "AIRFLOW" not in variables
    assert "MLFLOW_TRACKING_URI" not in variables


def test_the_memory_of_a_server_is_that_of_a_process_with_mlflow(running: ScoringServer):
    assert 50 < running.peak_memory_mb() < 2000


def test_a_port_that_another_server_has_taken_is_given_up_for_the_next(running: ScoringServer, ports: list[int]):
    assert ports == []


def test_a_server_is_not_reached_from_other_machines(running: ScoringServer):
    assert "//127.0.0.1:" in running._url


def test_a_server_that_does_not_start_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started = []
    monkeypatch.setattr(server, "owned_process", _noting(server.owned_process, started))
    model = package(serving_models.HangsAtStart(), tmp_path)
    with (
        pytest.raises(ServingCheckError, match=r"did not answer within 1\.5 s"),
        scoring_server.serving(model, ServingCheckSpec(start_timeout_s=1.5), folder=tmp_path),
    ):
        raise AssertionError("it serves")
    assert len(started) == 1
    wait_until(lambda: is_gone(started[0]))


def _noting(real, started: list[int]):
    @contextlib.contextmanager
    def noting(*args, **kwargs):
        with real(*args, **kwargs) as process:
            started.append(process.pid)
            yield process

    return noting


def test_an_environment_of_its_own_is_left_to_mlflow_and_does_not_see_this_process_s_modules():
    command, environment = server._command(Path("/model"), 5001, ServingCheckSpec(env_manager="uv"))
    assert command[1:5] == ["-m", "mlflow", "models", "serve"]
    assert command[5:] == ["--model-uri", "/model", "--host", "127.0.0.1", "--port", "5001", "--env-manager", "uv"]
    assert "PYTHONPATH" not in environment


def test_rows_are_written_to_the_last_bit_and_what_is_missing_as_null():
    frame = pd.DataFrame(
        {
            "number": [0.1 + 0.2, np.nan],
            "count": [2**53 + 1, 0],
            "text": ["a", None],
            "price": [Decimal("1.25"), None],
            "at": [pd.Timestamp("2020-01-02"), pd.NaT],
            "on": [datetime.date(2020, 1, 2), None],
            "flag": [True, False],
        }
    )
    sent = json.loads(request_body(frame))["dataframe_split"]
    assert sent["columns"] == list(frame.columns)
    assert sent["data"][0] == [0.30000000000000004, 2**53 + 1, "a", 1.25, "2020-01-02T00:00:00", "2020-01-02", True]
    assert sent["data"][1] == [None, 0, None, None, None, None, False]


def test_nan_is_sent_as_such_where_that_is_asked_for():
    frame = pd.DataFrame({"x": [np.nan, np.inf]})
    assert b"[[NaN], [Infinity]]" in request_body(frame, nan_as_null=False)
    assert b"[[null], [Infinity]]" in request_body(frame)


@pytest.mark.parametrize(
    ("status", "content", "problem"),
    [
        (200, b"<html>", "without predictions"),
        (200, b"[1, 2]", "without predictions"),
        (200, b'{"predictions": [[1, 2], [3]]}', "without predictions"),
        (400, b'{"error_code": "BAD_REQUEST", "message": "row 1: s3cret"}', "BAD_REQUEST"),
        (502, b"<html>", ""),
    ],
)
def test_what_is_no_prediction_is_none(status, content, problem):
    response = requests.Response()
    response.status_code, response._content = status, content
    answer = read_answer(response, 0.5)
    assert (answer.status, answer.predictions, answer.problem, answer.seconds) == (status, None, problem, 0.5)
