"""The server: started as MLflow starts it, on a port of its own, without the variables of this process."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import requests
from mlflow.pyfunc import scoring_server

from airflow_mlops.adapters.scoring_server.process import owned_process, peak_memory_mb
from airflow_mlops.adapters.scoring_server.protocol import read_answer
from airflow_mlops.core.packaging.serving_check import Answer
from airflow_mlops.errors import ServingCheckError
from airflow_mlops.specs.serving_check import ServingCheckSpec

__all__ = ["ScoringServer", "serving"]

_HOST = "127.0.0.1"
_MARK = "x-mlops-check"
_PORTS = 3
_PORT_IS_TAKEN = b"error while attempting to bind on address"
_INHERITED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MLFLOW_ENV_ROOT",
    "OMP_NUM_THREADS",
    "PATH",
    "PYENV_ROOT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
)
"""What a server, and what installs for it, need to know of this machine: nothing of Airflow's, and no credentials."""


class ScoringServer:
    """A running server.

    :param start_s: how long it took to answer for the first time.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes], start_s: float, timeout_s: float) -> None:
        self.start_s = start_s
        self._url, self._process, self._timeout_s = url, process, timeout_s
        self._session = _session()

    @property
    def process_group(self) -> int:
        """The id of the group of its processes."""
        return self._process.pid

    def ask(self, body: bytes, *, method: str = "POST", content_type: str = "application/json") -> Answer:
        """Send one request and wait for its answer."""
        started = time.perf_counter()
        try:
            response = self._session.request(
                method,
                f"{self._url}/invocations",
                data=body,
                headers={"Content-Type": content_type},
                timeout=self._timeout_s,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return Answer(status=None, problem=self._why(error), seconds=time.perf_counter() - started)
        return read_answer(response, time.perf_counter() - started)

    def peak_memory_mb(self) -> float | None:
        """Return the peak of its processes' memory so far, in million bytes.

        :returns: ``None`` when it has ended, or where the system does not say.
        """
        return peak_memory_mb(self.process_group) if self._process.poll() is None else None

    def _why(self, error: requests.RequestException) -> str:
        if isinstance(error, requests.Timeout):
            return f"within {self._timeout_s:g} s"
        try:
            return f"the server ended with status {self._process.wait(timeout=5)}"
        except subprocess.TimeoutExpired:
            return "the connection broke"


@contextlib.contextmanager
def serving(model: Path, settings: ServingCheckSpec, *, folder: Path) -> Iterator[ScoringServer]:
    """Serve a model's files on this machine alone, until the block ends.

    :param model: the folder that MLflow stored, whose types must have been checked: the server loads what is there.
    :param folder: where the server runs; its log is ``server.log`` there.
    :raises ServingCheckError: when it does not start in time.
    """
    for remaining in reversed(range(_PORTS)):
        port, mark, log = _free_port(), uuid.uuid4().hex, folder / "server.log"
        command, environment = _command(model, port, settings)
        environment |= {"TMPDIR": str(folder), "UVICORN_HEADERS": f"{_MARK}:{mark}"}
        with owned_process(command, environment=environment, folder=folder, log=log) as process:
            url = f"http://{_HOST}:{port}"
            start_s = _wait_for_start(process, url, mark, settings.start_timeout_s)
            if start_s is not None:
                yield ScoringServer(url, process, start_s, settings.request_timeout_s)
                return
            status = process.poll()
        if status is None:
            raise ServingCheckError(f"The server did not answer within {settings.start_timeout_s:g} s.")
        if not remaining or _PORT_IS_TAKEN not in log.read_bytes():
            raise ServingCheckError(f"The server ended with status {status} before it answered.")


def _wait_for_start(process: subprocess.Popen[bytes], url: str, mark: str, timeout_s: float) -> float | None:
    """Return after how long the server answered; ``None`` when it ended or has not answered in time."""
    started = time.monotonic()
    session = _session()
    while process.poll() is None and (waited := time.monotonic() - started) < timeout_s:
        with contextlib.suppress(requests.RequestException):
            answer = session.get(f"{url}/ping", timeout=min(max(timeout_s - waited, 0.1), 5.0))
            if answer.ok and answer.headers.get(_MARK) == mark:  # another process may have taken the port
                return time.monotonic() - started
        time.sleep(0.05)
    return None


def _command(model: Path, port: int, settings: ServingCheckSpec) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the variables by which MLflow serves a model."""
    timeout_s = math.ceil(settings.request_timeout_s) + 1  # so that it is we who give up first
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(timeout_s),
        "PYTHONUNBUFFERED": "1",
    }
    if settings.env_manager != "local":
        where = ["--host", _HOST, "--port", str(port), "--env-manager", settings.env_manager]
        return [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model), *where], environment
    # What `mlflow models serve --env-manager local` runs in the end, without importing MLflow twice.
    command, variables = scoring_server.get_cmd(str(model), port, _HOST, timeout_s)
    environment |= {name: value for name, value in variables.items() if name not in os.environ}  # the model's path
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return [sys.executable, "-m", *shlex.split(command)], environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # neither a proxy nor a login of this machine's has to do with it
    return session
