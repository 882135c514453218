"""A version is deployed, watched by a deferred task, and promoted or taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_mlops.core.rollout.online_validation import RolloutReport
from airflow_mlops.operators import CanaryAnalysisOperator, DeployModelOperator, PromoteModelOperator
from airflow_mlops.steps.registry.deployment import read_deployment
from tests.operators.conftest import House
from tests.steps.cases import Bench
from tests.steps.rollout.test_online_validation import LENIENT, traffic

ROLLOUT = {"window": "PT4S", "checks": 2, "min_requests": 100, "max_error_rate_increase": 0.05}


@pytest.fixture
def dag(bench: Bench) -> DAG:
    """Tries version 2 against the champion."""
    assert bench.run("first").promotion
    spec = bench.spec(gate=LENIENT, promotion={"policy": "hold"})
    result = bench.run("second", spec, force=True, params={"alpha": 0.3})
    candidate = {"version": result.version.to_dict(), "blessing": result.blessing.to_dict()}
    with DAG("rollout", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
        deploy = DeployModelOperator(task_id="deploy", rollout=ROLLOUT, **candidate)
        watched = {"deployment": deploy.output, "version": candidate["version"], "rollout": ROLLOUT}
        analyse = CanaryAnalysisOperator(task_id="analyse_canary", **watched)
        PromoteModelOperator(task_id="promote", canary=analyse.output, **candidate)
    return dag


def _serving(house: House, bench: Bench, **how: Any) -> threading.Thread:
    """Serve once something is deployed."""
    storage = house.platform.storage

    def serve() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            deployment = read_deployment("small", storage=storage)
            if deployment and deployment.challenger_version:
                traffic(bench, at=deployment.since + timedelta(seconds=1), **how)
                return
            time.sleep(0.1)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def _run(house: House, bench: Bench, dag: DAG, **how: Any) -> tuple[dict[str, str], Callable[[str], Any]]:
    thread = _serving(house, bench, **how)
    ended = house.run(dag)
    thread.join()
    return ended.states, ended.result


def test_a_healthy_version_becomes_champion(house: House, bench: Bench, dag: DAG):
    states, result = _run(house, bench, dag)
    assert states == {"deploy": "success", "analyse_canary": "success", "promote": "success"}
    report = RolloutReport.from_dict(result("analyse_canary"))
    assert (report.verdict, report.look, report.n_looks) == ("HEALTHY", 2, 2)
    assert house.platform.mlflow.get_alias("small") == 2


def test_a_version_that_fails_is_taken_back_and_the_run_is_green(house: House, bench: Bench, dag: DAG):
    states, result = _run(house, bench, dag, failing=0.5)
    assert states == {"deploy": "success", "analyse_canary": "success", "promote": "skipped"}
    report = RolloutReport.from_dict(result("analyse_canary"))
    assert (report.verdict, report.look) == ("UNHEALTHY", 1)
    assert house.platform.mlflow.get_alias("small") == 1
    assert read_deployment("small", storage=house.platform.storage).challenger_version is None
