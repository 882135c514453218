"""Real data with its real faults: bike sharing's leak and adult's dotted labels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.splitting.leakage import LeakageReport
from airflow_mlops.core.validation.findings import ValidationReport
from airflow_mlops.errors import DataHaltedError, LeakageError
from tests.operators.conftest import House
from tests.steps.cases import NOTHING_LEFT, Left, left_by

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif("MLOPS_TEST_DATA" not in os.environ, reason="MLOPS_TEST_DATA names no folder with real data"),
]

BIKE_FEATURES = ("season", "hr", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed")
ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race",
    "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip


def bike_sharing(*more: str) -> ContinuousTraining:
    return ContinuousTraining(
        model_name="bike_demand",
        data={"path": str(Path(os.environ["MLOPS_TEST_DATA"]) / "bike_sharing_hour.csv"), "timestamp": "dteday"},
        validation={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "cnt"}}]},
        training={
            "target": "cnt",
            "features": (*BIKE_FEATURES, *more),
            "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
            "params": {"max_iter": 20},
        },
        serving_check=None,
        gate={"metrics": {"mean_absolute_error": {"value_threshold": 150.0}}, "cold_start": True, "n_resamples": 200},
    )


def test_two_features_whose_sum_is_the_target_fail_the_run_and_are_named(house: House):
    ended = house.run(bike_sharing("casual", "registered").dag())
    assert ended.state == "failed"
    assert (ended.states["check_leakage"], ended.tries["check_leakage"]) == ("failed", 1)
    assert ended.states["train"] == "upstream_failed"
    with pytest.raises(LeakageError) as caught:
        LeakageReport.from_dict(ended.result("check_leakage")).require_clean()
    message = str(caught.value)
    assert "registered, casual: combination_reproduces_target" in message
    assert "Leave registered or casual out of training.features" in message
    assert "Nothing was trained and the champion stays." in message
    assert left_by(house.platform, "bike_demand") == NOTHING_LEFT


def test_without_them_the_run_ends_with_a_champion(house: House):
    ended = house.run(bike_sharing().dag())
    assert ended.state == "success"
    assert ended.result("check_leakage")["findings"] == []
    assert left_by(house.platform, "bike_demand").alias == 1


def adult(folder: Path) -> ContinuousTraining:
    csv: dict[str, Any] = {"header": False, "columns": ADULT, "skip_initial_space": True, "missing_values": ["?"]}
    return ContinuousTraining(
        model_name="adult",
        data={"path": str(folder), "csv": csv},
        validation={"inferred": True},
        split={"method": "random"},
        training={
            "target": "income",
            "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
            "params": {"max_iter": 20},
        },
        serving_check=None,
        gate={
            "metrics": {"accuracy": {"value_threshold": 0.8}},
            "baseline": "most_frequent",
            "cold_start": True,
            "n_resamples": 200,
        },
    )


def test_labels_that_are_written_in_another_way_halt_and_the_champion_stays(house: House):
    data, inbox = Path(os.environ["MLOPS_TEST_DATA"]), house.folder / "census"
    inbox.mkdir()
    shutil.copy(data / "adult-train.csv", inbox / "adult.csv")
    dag = adult(inbox).dag()
    first = house.run(dag)
    assert first.state == "success"
    columns = {column["name"]: column for column in first.result("snapshot")["columns"]}
    assert columns["workclass"]["n_null"] == 1836
    champion = Left(versions=(1,), alias=1, journal=(("promote", None, 1),))
    assert left_by(house.platform, "adult") == champion

    shutil.copy(data / "adult-test.csv", inbox / "adult.csv")
    halted = house.run(dag)
    assert (halted.state, halted.states["validate"], halted.tries["validate"]) == ("failed", "failed", 1)
    with pytest.raises(DataHaltedError) as caught:
        ValidationReport.from_dict(halted.result("validate")).require_accepted()
    (line,) = [line for line in str(caught.value).splitlines() if "income: category_new" in line]
    assert "found 16281 of 16281 rows (100.00%) with categories that are new" in line
    assert "expected one of '<=50K', '>50K'" in line
    assert "'<=50K.', '>50K.'" in line
    assert halted.states["train"] == "upstream_failed"
    assert left_by(house.platform, "adult") == champion
