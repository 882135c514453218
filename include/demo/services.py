"""The processes of the demo: MLflow's server and Airflow's components, all on localhost."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).parents[2]
AIRFLOW = [sys.executable, "-m", "airflow"]

AIRFLOW_CFG = """\
# Written by the demo.
[core]
dags_folder = {dags}
plugins_folder = {repository}/plugins
executor = LocalExecutor
parallelism = 4
load_examples = False
dags_are_paused_at_creation = False
simple_auth_manager_users = admin:admin
fernet_key = {fernet_key}

[database]
sql_alchemy_conn = sqlite:///{home}/airflow.db

[api]
host = {host}
port = {port}
base_url = http://{host}:{port}
secret_key = {secret_key}
workers = 1

[api_auth]
jwt_secret = {jwt_secret}

[execution_api]
jwt_expiration_time = 3600

[logging]
base_log_folder = {home}/logs

[dag_processor]
refresh_interval = 5
min_file_process_interval = 10

[scheduler]
scheduler_idle_sleep_time = 0.2

[mlops]
storage_root = {storage}
"""

LOCAL_SETTINGS = """\
from airflow_mlops.preload import preload

preload(["include.co2_model"])
"""


class DemoError(Exception):
    """Something that keeps the demo from going on, with what to do about it."""


@dataclass
class Demo:
    """A folder, two addresses, and the processes that run there.

    :param folder: everything that the demo writes; it is made anew at every start.
    """

    folder: Path
    airflow_port: int = 8080
    mlflow_port: int = 5000
    dags: Path = REPOSITORY / "dags"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.folder / "airflow"

    @property
    def storage(self) -> Path:
        """The storage root."""
        return self.folder / "storage"

    @property
    def airflow_url(self) -> str:
        """Where the Airflow UI answers."""
        return f"http://{HOST}:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """Where MLflow answers."""
        return f"http://{HOST}:{self.mlflow_port}"

    def prepare(self) -> None:
        """Make the folder anew and write Airflow's configuration, once nothing else uses the ports."""
        for name, port in (("AIRFLOW", self.airflow_port), ("MLFLOW", self.mlflow_port)):
            if not _is_free(port):
                raise DemoError(
                    f"Port {port} is taken on {HOST}. Stop what listens there (is another demo running?), or choose "
                    f"another: DEMO_{name}_PORT={port + 1} make demo"
                )
        mark = self.folder / ".made-by-the-demo"
        if self.folder.exists() and not mark.exists() and any(self.folder.iterdir()):
            raise DemoError(
                f"{self.folder} holds something else. Give DEMO_FOLDER a folder that is empty or not there."
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        mark.touch()
        (self.home / "config").mkdir(parents=True)
        (self.home / "inbox" / "co2").mkdir(parents=True)
        (self.folder / "mlflow").mkdir()
        self.storage.mkdir()
        settings = AIRFLOW_CFG.format(
            dags=self.dags,
            repository=REPOSITORY,
            home=self.home,
            host=HOST,
            port=self.airflow_port,
            storage=self.storage,
            fernet_key=_fernet_key(),
            secret_key=secrets.token_hex(16),
            jwt_secret=secrets.token_hex(32),
        )
        _write_private(self.home / "airflow.cfg", settings)
        _write_private(self.home / "simple_auth_manager_passwords.json.generated", json.dumps({"admin": self.password}))
        (self.home / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)

    def start(self, progress: Callable[[str], None]) -> None:
        """Start everything and wait until it answers."""
        database = f"sqlite:///{self.folder}/mlflow/mlflow.db"
        mlflow = ["mlflow", "server", "--host", HOST, "--port", str(self.mlflow_port), "--workers", "1"]
        mlflow += [
            "--backend-store-uri",
            database,
            "--artifacts-destination",
            str(self.folder / "mlflow" / "artifacts"),
        ]
        self._spawn("mlflow", [sys.executable, "-m", *mlflow])
        progress("creating Airflow's database")
        migrate = self._spawn("airflow-db", [*AIRFLOW, "db", "migrate"])
        self.wait(lambda: migrate.poll() is not None, "Airflow's database", 120)
        if migrate.returncode:
            raise DemoError(f"Airflow's database could not be created.\n{self._last_lines('airflow-db')}")
        del self.processes["airflow-db"]
        # The four components of `airflow standalone`, without the two log servers that it opens to every network.
        self._spawn("airflow-api-server", [*AIRFLOW, "api-server"])
        self._spawn("airflow-scheduler", [*AIRFLOW, "scheduler", "--skip-serve-logs"])
        self._spawn("airflow-dag-processor", [*AIRFLOW, "dag-processor"])
        self.start_triggerer()
        progress("waiting for MLflow")
        self.wait(lambda: _answers(f"{self.mlflow_url}/health"), "MLflow", 120)
        progress("waiting for Airflow")
        self.wait(self._airflow_is_healthy, "Airflow", 180)

    def start_triggerer(self) -> None:
        """Start Airflow's triggerer, which may have been there before."""
        self._spawn("airflow-triggerer", [*AIRFLOW, "triggerer", "--skip-serve-logs"])

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float, poll_s: float = 0.3) -> None:
        """Wait for something, as long as every process lives.

        :raises DemoError: when it takes too long, or a process has died; with the last lines of its log.
        """
        end = time.monotonic() + timeout_s
        while not done():
            for name, process in self.processes.items():
                if name != "airflow-db" and process.poll() is not None:
                    raise DemoError(f"{name} ended with status {process.returncode}.\n{self._last_lines(name)}")
            if time.monotonic() > end:
                logs = ", ".join(str(self.folder / f"{name}.log") for name in self.processes)
                raise DemoError(f"{what} was not ready within {timeout_s:.0f} seconds. See {logs}")
            time.sleep(poll_s)

    def stop(self) -> None:
        """Stop every process, and whatever they started."""
        family = [psutil.Process(p.pid) for p in self.processes.values() if p.poll() is None]
        for process in list(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                family += process.children(recursive=True)
        for process in family[: len(self.processes)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=15)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        self.processes.clear()

    def environment(self) -> dict[str, str]:
        """Return the environment of the demo's processes: this one's, without another Airflow's settings."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "MLFLOW"))}
        return own | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONN_MLFLOW_DEFAULT": json.dumps({"conn_type": "mlflow", "host": self.mlflow_url}),
            "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("DEMO_PYTHONPATH"), str(REPOSITORY)])),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "GX_ANALYTICS_ENABLED": "false",
            "PYTHONWARNINGS": "ignore",
        }

    def _spawn(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which stops them in order
            )
        self.processes[name] = process
        return process

    def _airflow_is_healthy(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"{self.airflow_url}/api/v2/monitor/health", timeout=5) as answer:
                health = json.load(answer)
            return all((part or {}).get("status") == "healthy" for part in health.values())
        return False

    def _last_lines(self, name: str, n_lines: int = 15) -> str:
        path = self.folder / f"{name}.log"
        return f"The end of {path}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-n_lines:])


@contextlib.contextmanager
def running(demo: Demo, progress: Callable[[str], None]) -> Iterator[Demo]:
    """Start the demo's processes for the block, and leave none behind, however the block ends."""
    demo.prepare()
    try:
        demo.start(progress)
        yield demo
    finally:
        progress("stopping")
        demo.stop()


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
