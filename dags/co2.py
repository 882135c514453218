"""Next week's CO2 at Mauna Loa: a pipeline declared in Python, started by files that arrive."""

from __future__ import annotations

from pathlib import Path

from airflow_mlops import ContinuousTraining

INCLUDE = Path(__file__).parents[1] / "include"

co2 = ContinuousTraining(
    model_name="co2",
    description="Predicts next week's atmospheric CO2 at Mauna Loa from the weeks before.",
    data={
        "path": "${AIRFLOW_HOME}/inbox/co2/*.csv",
        "timestamp": "date",
        "features": (INCLUDE / "co2_features.sql").read_text(),
    },
    validation={"suite": str(INCLUDE / "expectations" / "co2.json")},
    training={"target": "next_co2", "estimator": "include.co2_model:ridge", "params": {"alpha": 0.1}},
    gate={
        "metrics": {"mean_absolute_error": {"value_threshold": 1.0}},
        "baseline": "column",
        "baseline_column": "co2",
        "cold_start": True,
    },
    triggers=[{"type": "new_data", "poll_interval_s": 1}],
)

dag = co2.dag()
rollback = co2.rollback_dag()
