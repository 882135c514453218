"""Versions that answer with their own number, and a server of them in this process."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow.dataset as ds
from sklearn.dummy import DummyRegressor

from airflow_mlops.adapters.model_files.skops import types_to_trust
from airflow_mlops.core.gate.rules import Blessing, BlessingVerdict
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.server.server import ModelServer
from airflow_mlops.specs import ServerSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.promotion.promote import promote_model
from airflow_mlops.steps.registry.deployment import write_deployment
from tests.core.cases import recorded
from tests.processes import wait_until
from tests.server.models import TRUSTED
from tests.steps.cases import run_named

FRAME = pd.DataFrame({"x": [0.0, 0.01, 0.02]})


def blessing_of(digest: str, champion: int | None = None) -> Blessing:
    return Blessing(
        model_name="m",
        verdict=BlessingVerdict.BLESSED,
        reasons=recorded("made for a test"),
        model_digest=digest,
        champion_version=champion,
        evidence_digest="sha256:e",
    )


def add_version(platform: Platform, model_name: str, model: Any = None, frame: pd.DataFrame = FRAME) -> ModelVersion:
    """Register a version; by default one that predicts its own number."""
    number = len(platform.mlflow.find_runs(model_name, {})) + 1
    model = model or DummyRegressor(strategy="constant", constant=float(number))
    model.fit(frame, range(len(frame)))
    with platform.mlflow.start_run(model_name, name="made", tags={}) as run:
        uri = platform.mlflow.log_training(
            model=model,
            example=frame,
            predictions=model.predict(frame),
            params={},
            metrics={},
            dataset=("d", "/d", "sha256:1"),
            requirements=["scikit-learn"],
            trusted_types=types_to_trust(model, TRUSTED),
        )
    digest = platform.mlflow.digest_of_model(uri)
    trained = TrainedModel(
        model_name=model_name,
        run_id=run.info.run_id,
        model_uri=uri,
        model_digest=digest,
        fingerprint="sha256:f",
        snapshot_digest="sha256:1",
        split_digest="sha256:2",
        target="y",
        features=tuple(frame.columns),
        params={},
    )
    return platform.mlflow.create_version(trained, {"mlops.model_digest": digest}, "")


def promote(platform: Platform, version: ModelVersion, champion: int | None) -> None:
    run = run_named(f"to {version.model_version}")
    promote_model(version, blessing_of(version.model_digest, champion), platform=platform, run=run)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def predictions(self) -> list[Any]:
        assert self.status == 200, self.body
        return json.loads(self.body)["predictions"]


def body_of(frame: pd.DataFrame) -> bytes:
    return json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False)}).encode()


def request(
    url: str,
    body: bytes | None = None,
    *,
    path: str = "/invocations",
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        return request_on(connection, body, path=path, method=method, headers=headers)


def request_on(
    connection: http.client.HTTPConnection,
    body: bytes | None = None,
    *,
    path: str = "/invocations",
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    sent = {"Content-Type": "application/json"} | dict(headers or {})
    connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
    response = connection.getresponse()
    return Answer(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})


@dataclass(frozen=True)
class Stage:
    """A platform with a model, and servers of it."""

    platform: Platform
    model_name: str = "served"

    def deploy(self, **settings: Any) -> None:
        known = {"model_name": self.model_name, "champion_version": 1, "since": datetime.now(UTC), "key": ""}
        write_deployment(Deployment(**{**known, **settings}), storage=self.platform.storage)

    def canary(self, share: float, **settings: Any) -> None:
        self.deploy(**{"challenger_version": 2, "mode": DeploymentMode.CANARY, "share": share, **settings})

    @contextlib.contextmanager
    def serving(self, **settings: Any) -> Iterator[ModelServer]:
        """Serve in a thread, until the block ends; who serves is looked for when a test says so."""
        spec = ServerSpec(**{"model_name": self.model_name, "port": 0, "poll_s": 3600.0, **settings})
        server = ModelServer(spec, platform=self.platform)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: server.is_running)
            yield server
        finally:
            server.stop()
            thread.join()

    def logged(self) -> pd.DataFrame:
        """Return the inference log."""
        folder = self.platform.storage.path("inference", self.model_name)
        return ds.dataset(folder, partitioning="hive").to_table().to_pandas()
