"""The whole check, from a training to the report, with real servers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from airflow_mlops.adapters import scoring_server
from airflow_mlops.core.packaging.serving_check import ServingCheckReport
from airflow_mlops.errors import IntegrityError, ServingCheckError, UntrustedModelError
from airflow_mlops.specs import ServingCheckSpec
from airflow_mlops.steps import Platform
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.packaging.serving_check import check_serving
from airflow_mlops.steps.splitting.split import split_dataset
from airflow_mlops.steps.training.train import train_model
from tests.steps import serving_models
from tests.steps.cases import Bench, run_named, small_frame

RUN = run_named("the run")
QUICK = {"n_requests": 20, "batch_rows": 1000}


class Trained:
    """A model of a platform that trusts the models of the tests, and the split that it was trained on."""

    def __init__(self, bench: Bench, frame: pd.DataFrame, **training: Any) -> None:
        bench.deliver(frame)
        spec = bench.spec(training=training)
        self.platform = Platform(bench.platform.storage, bench.platform.mlflow, serving_models.TRUSTED)
        snapshot = snapshot_dataset(spec.data, dataset="small", storage=self.platform.storage)
        self.split = split_dataset(snapshot, spec.data, spec.split, storage=self.platform.storage)
        self.model = train_model(self.split, spec.training, model_name="small", platform=self.platform, run=RUN)

    def check(self, *, platform: Platform | None = None, **settings: Any) -> ServingCheckReport:
        serving = ServingCheckSpec.parse({**QUICK, **settings})
        return check_serving(self.model, self.split, serving, platform=platform or self.platform, run=RUN)

    def stored(self, name: str) -> str:
        return self.platform.storage.path("reports", "small", "the_run", name).read_text()


def _of_class(bench: Bench, model: type, *last_values: float) -> Trained:
    frame = small_frame()
    frame.loc[len(frame) - len(last_values) :, "x"] = last_values
    return Trained(bench, frame, estimator=model, params={}, preprocessing="none")


def _no_server(*_: object, **__: object) -> None:
    raise AssertionError("a server was started")


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_server, "serving", _no_server)


def test_a_model_of_numbers_and_texts_with_nulls_serves_and_a_retry_finds_its_report(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    frame = small_frame()
    frame["count"] = np.arange(len(frame)) % 7
    frame["color"] = np.array(["red", "green", "blue", None], dtype=object)[np.arange(len(frame)) % 4]
    frame.loc[::9, "x"] = np.nan
    trained = Trained(bench, frame)
    report = trained.check()
    assert report.reasons == ()
    assert report.is_ok
    assert all(check.passed for check in report.checks)
    assert {"start", "golden_rows", "unknown_category", "huge_batch"} <= {check.name for check in report.checks}
    assert None not in vars(report.footprint).values()
    assert (report.model_digest, report.log_uri) == (trained.model.model_digest, "")
    assert "SERVES" in trained.stored("serving_check.html")
    metrics = MlflowClient(trained.platform.mlflow.tracking_uri).get_run(trained.model.run_id).data.metrics
    assert metrics["serving_latency_p95_ms"] == report.footprint.latency_p95_ms
    monkeypatch.setattr(scoring_server, "serving", _no_server)
    assert trained.check() == report
    with pytest.raises(AssertionError, match="a server was started"):
        trained.check(rtol=0.5)


def test_a_model_that_ends_its_server_fails_and_the_server_s_log_is_kept(bench: Bench):
    trained = _of_class(bench, serving_models.Moody, serving_models.DIES)
    report = trained.check(n_golden_rows=1000)
    assert not report.is_ok
    failed = {check.name: check.found.facts["fault"] for check in report.checks if not check.passed}
    assert list(failed) == ["golden_rows", "golden_rows_afterwards"]
    for fault in failed.values():
        assert (fault["kind"], fault["problem"]) == ("no_answer", "the server ended with status 3")
    assert report.footprint.memory_mb is None
    assert report.log_uri == "reports/small/the_run/serving_check-server.log"
    assert "Uvicorn running on" in trained.stored("serving_check-server.log")
    assert "FAILS" in trained.stored("serving_check.html")
    with pytest.raises(ServingCheckError, match=r"the server's log: reports/small/the_run/serving_check-server\.log"):
        report.require_ok()


def test_a_model_that_its_server_can_not_load_fails_with_a_report(bench: Bench):
    trained = _of_class(bench, serving_models.RaisesAtStart)
    report = trained.check(max_latency_p95_ms=1000.0)
    started, latency = report.checks
    assert (started.name, started.found.observed, started.passed) == ("start", None, False)
    assert started.found.facts == {"problem": "The server ended with status 1 before it answered"}
    assert (latency.name, latency.found.observed, latency.found.required) == ("latency_p95_ms", None, 1000.0)
    assert not report.is_ok
    assert report.footprint.size_mb > 0
    assert "ZeroDivisionError: nothing can be loaded" in trained.stored("serving_check-server.log")
    assert ServingCheckReport.from_dict(json.loads(trained.stored("serving_check.json"))) == report


def test_a_type_that_the_platform_does_not_trust_is_never_served(bench: Bench, no_server: None):
    trained = _of_class(bench, serving_models.Moody)
    with pytest.raises(UntrustedModelError, match=r"serving_models\.Moody"):
        trained.check(platform=replace(trained.platform, trusted_types=()))


def test_files_that_were_changed_are_never_served(bench: Bench, no_server: None):
    trained = Trained(bench, small_frame())
    (file,) = bench.inbox.parent.glob(f"**/{trained.model.model_uri.rpartition('/')[2]}/**/MLmodel")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(IntegrityError, match="was verified"):
        trained.check()


def test_a_split_that_the_model_was_not_trained_on_is_refused(bench: Bench, no_server: None):
    trained = Trained(bench, small_frame())
    trained.model = replace(trained.model, split_digest="sha256:other")
    with pytest.raises(IntegrityError, match=r"its columns may be others. Nothing was served"):
        trained.check()
