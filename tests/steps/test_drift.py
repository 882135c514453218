"""Drift as a step: what is measured when columns come and go."""

from __future__ import annotations

import pandas as pd
import pytest

from airflow_mlops.core.monitor import DriftReport
from airflow_mlops.errors import DataError
from airflow_mlops.steps.data import snapshot_dataset
from airflow_mlops.steps.drift import check_drift
from tests.steps.cases import Bench, run_named, small_frame


def drift_of(bench: Bench, frame: pd.DataFrame) -> DriftReport:
    bench.deliver(frame)
    spec = bench.spec()
    snapshot = snapshot_dataset(spec.data, dataset="small", storage=bench.platform.storage)
    return check_drift(
        snapshot, spec.monitoring, model_name="small", platform=bench.platform, run=run_named("second"), draw=False
    )


def test_without_a_column_of_the_champion_the_others_are_measured_and_it_is_said(serving: Bench):
    report = drift_of(serving, small_frame(300, start="2021-01-01", seed=1).drop(columns="x"))
    assert (report.n_reference, report.n_current) == (300, 300)
    assert [column.name for column in report.columns] == ["y"]
    assert report.reasons[-1] == (
        "Not measured: columns of the champion's data are missing ('x') or are of another type (none)."
    )


def test_without_any_column_of_the_champion_there_is_no_drift_to_measure(serving: Bench):
    frame = small_frame(300, start="2021-01-01", seed=1).assign(y="high").drop(columns="x")
    with pytest.raises(DataError, match=r"missing \('x'\) or are of another type \('y'\), and no other is left"):
        drift_of(serving, frame)
