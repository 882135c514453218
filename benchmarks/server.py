"""Our model server against ``mlflow models serve`` of the same model: one worker each, the same client, in turns.

Ours checks who serves, counts, and writes every request to its inference log; MLflow's does none of that.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from airflow_mlops import ContinuousTraining
from airflow_mlops.adapters.scoring_server import request_body
from benchmarks import child, made_data
from benchmarks.entry import Entry
from include.demo.services import free_port

ROUNDS = 12
ROUND_S = 3.0
N_CLIENTS = 4
N_ROWS = 20_000
N_BODIES = 500


def measure_throughput() -> Entry:
    """Return requests of one row per second."""
    rounds = _measured()
    return _entry("server_throughput", rounds, "rate", unit="requests/s", better="higher")


def measure_p95() -> Entry:
    """Return the latency of one row that 95 % of the requests stay below."""
    rounds = _measured()
    return _entry("server_p95", rounds, "p95_ms", unit="ms", better="lower")


def _entry(name: str, rounds: list[dict[str, dict[str, float]]], figure: str, *, unit: str, better) -> Entry:
    ours, theirs = (statistics.median(each[who][figure] for each in rounds) for who in ("ours", "mlflow"))
    return Entry(name=name, ours=ours, baseline=theirs, unit=unit, better=better)


@functools.cache
def _measured() -> list[dict[str, dict[str, float]]]:
    """Ask both servers in turns; the first round of each warms it up and does not count."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        bodies = _train(root)
        with _ours(root) as ours, _theirs(root) as theirs:
            servers = {"ours": ours, "mlflow": theirs}
            rounds = [
                {who: _round(url, bodies) for who, url in sorted(servers.items(), reverse=bool(number % 2))}
                for number in range(ROUNDS + 1)
            ]
        n_logged = pd.read_parquet(root / "storage" / "inference" / "bench").shape[0]
    n_asked = sum(each["ours"]["n"] for each in rounds)
    print(f"{rounds[1:]}\n{n_logged} of {n_asked:.0f} requests are in the inference log")
    return rounds[1:]


def _train(root: Path) -> list[bytes]:
    """Make a version champion, and return requests of one row."""
    file = made_data.write_parquet(root / "rows.parquet", N_ROWS)
    rows = pd.read_parquet(file)
    rows.assign(y=(rows["n0"] + rows["n1"] > 1).astype(int)).to_parquet(file)
    spec = {
        "model_name": "bench",
        "data": {"path": str(file)},
        "validation": {"expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "y"}}]},
        "split": {"method": "random"},
        "training": {"target": "y", "estimator": "sklearn.linear_model.LogisticRegression"},
        "gate": {"metrics": {"accuracy": {"value_threshold": 0.0}}, "cold_start": True},
        "serving_check": None,
    }
    result = ContinuousTraining.parse(spec).run(storage_root=str(root / "storage"), tracking_uri=_tracking_uri(root))
    print(result.blessing)
    return [request_body(rows.drop(columns="y").iloc[[place]]) for place in range(N_BODIES)]


def _tracking_uri(root: Path) -> str:
    return f"sqlite:///{root}/mlflow.db"


@contextlib.contextmanager
def _ours(root: Path) -> Iterator[str]:
    command = ["-m", "airflow_mlops.cli", "serve", "bench", "--storage-root", str(root / "storage")]
    with _running([*command, "--tracking-uri", _tracking_uri(root)], root / "ours.log") as url:
        yield url


@contextlib.contextmanager
def _theirs(root: Path) -> Iterator[str]:
    command = ["-m", "mlflow", "models", "serve", "--model-uri", "models:/bench@champion", "--env-manager", "local"]
    variables = {"MLFLOW_TRACKING_URI": _tracking_uri(root)}
    with _running([*command, "--workers", "1"], root / "mlflow.log", variables) as url:
        yield url


@contextlib.contextmanager
def _running(command: list[str], log: Path, variables: Mapping[str, str] | None = None) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    with child.serving(*command, "--port", str(port), url=f"{url}/ping", log=log, variables=variables):
        yield url


def _round(url: str, bodies: list[bytes]) -> dict[str, float]:
    """Have clients ask one row after the other, each on a connection of its own that it keeps."""
    seconds: list[float] = []
    end = time.perf_counter() + ROUND_S

    def client(first: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        place = first
        while time.perf_counter() < end:
            started = time.perf_counter()
            connection.request(
                "POST", "/invocations", bodies[place % len(bodies)], {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - started)
            if answer.status != 200:
                raise RuntimeError(f"{url} answered with status {answer.status}; nothing to measure.")
            place += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number * 100,)) for number in range(N_CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    p50, p95 = np.quantile(np.array(seconds) * 1000, [0.5, 0.95])
    return {"rate": len(seconds) / took, "p50_ms": float(p50), "p95_ms": float(p95), "n": len(seconds)}
