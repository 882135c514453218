"""The same model as ``co2`` with the operators put together by hand: the last years only, and no waiting inside."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_mlops import operators
from airflow_mlops.sensors import NewDataSensor

INCLUDE = Path(__file__).parents[1] / "include"
MODEL = "co2_by_hand"

data = {
    "path": "${AIRFLOW_HOME}/inbox/co2/*.csv",
    "timestamp": "date",
    "window_start": "{{ macros.examples.years_before(params.until, params.years) }}",
    "window_end": "{{ params.until }}",
    "features": (INCLUDE / "co2_features.sql").read_text(),
}
training = {"target": "next_co2", "estimator": "include.co2_model:ridge", "params": {"alpha": 0.1}}
gate = {
    "metrics": {"mean_absolute_error": {"value_threshold": 1.0, "change_threshold": 0.05}},
    "baseline": "column",
    "baseline_column": "co2",
    "cold_start": True,
    "on_rejection": "fail",
}

with DAG(
    dag_id=MODEL,
    description="The operators one by one",
    schedule=None,
    params={
        "until": Param("2002-01-01", type="string", format="date", title="Until"),
        "years": Param(30, type="integer", minimum=3, title="Years before that"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["mlops", "by-hand"],
) as dag:
    wait = NewDataSensor(task_id="wait", path=data["path"], poke_interval=1, timeout=600)
    snapshot = operators.SnapshotDatasetOperator(task_id="snapshot", dataset=MODEL, data=data)
    validate = operators.ValidateDataOperator(
        task_id="validate",
        snapshot=snapshot.output,
        validation={"suite": str(INCLUDE / "expectations" / "co2.json")},
    )
    split = operators.SplitDatasetOperator(task_id="split", snapshot=validate.output["snapshot"], data=data)
    train = operators.TrainModelOperator(task_id="train", model_name=MODEL, split=split.output, training=training)
    evaluate = operators.EvaluateModelOperator(task_id="evaluate", model=train.output, split=split.output, gate=gate)
    bless = operators.BlessModelOperator(task_id="bless", evaluation=evaluate.output, model=train.output, gate=gate)
    register = operators.RegisterModelOperator(task_id="register", model=train.output, blessing=bless.output)
    promote = operators.PromoteModelOperator(task_id="promote", version=register.output, blessing=bless.output)

    wait >> snapshot
