"""A backtest over bike sharing: the month that decides. The whole year is in docs/howto/retrain.md."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from airflow_mlops.core.backtesting.backtest import TRACKS
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.steps.backtesting.backtest import backtest
from tests.steps.cases import INCLUDE

pytestmark = pytest.mark.skipif(
    "MLOPS_TEST_DATA" not in os.environ, reason="MLOPS_TEST_DATA names no folder with real data"
)

SINCE, EVERY = datetime(2012, 3, 1, tzinfo=UTC), timedelta(days=3)


def test_in_a_warm_march_the_gate_does_better_than_always_with_half_of_the_trainings(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for track in TRACKS:
        root = tmp_path / track / f"{SINCE:%Y%m%dT%H%M%S}--259200s"
        root.mkdir(parents=True)
        shutil.copy(mlflow_database, root / "mlflow.db")
    spec = PipelineSpec.parse(yaml.safe_load((INCLUDE / "bike_sharing.yaml").read_text()))
    report = backtest(spec, since=SINCE, until=SINCE + 10 * EVERY, every=EVERY, folder=tmp_path)
    policy, never, always = report.summaries
    assert (policy.n_trained, never.n_trained, always.n_trained) == (5, 1, 10)
    assert policy.n_not_promoted >= 1
    assert policy.monthly_error <= always.monthly_error < never.monthly_error
    assert report.conclusion.startswith("The policy is as good as always (")
    assert report.conclusion.endswith("with 50 % of its trainings (5 of 10).")
