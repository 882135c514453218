"""The DAG that watches production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.pipelines._docs import describe_monitoring
from airflow_mlops.pipelines._shared import dag_arguments
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["build_monitoring_dag"]


def build_monitoring_dag(spec: PipelineSpec, mlflow_conn_id: str, dag_settings: Mapping[str, Any]) -> DAG:
    """Return the DAG: each check by itself, then one decision of all that they found.

    A check that fails keeps no other from giving its alarm, and fails the run all the same: ``checked`` succeeds only
    after all of them have.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, CronTriggerTimetable

    from airflow_mlops import operators
    from airflow_mlops.assets import alarm_asset

    cron = spec.monitoring.schedule
    settings = dag_arguments(
        mlflow_conn_id,
        dag_settings,
        dag_id=f"{spec.model_name}_monitoring",
        schedule=CronTriggerTimetable(cron, timezone="UTC") if cron else None,
        description=f"Drift and performance of the champion of {spec.model_name}",
        doc_md=describe_monitoring(spec),
        tags=["mlops", "monitoring"],
    )
    name, monitoring = spec.model_name, spec.monitoring.model_dump(mode="json")
    with DAG(**settings) as dag:
        check_drift = operators.DriftCheckOperator(task_id="check_drift", model_name=name, monitoring=monitoring)
        checks: list[Any] = [check_drift]
        found: dict[str, Any] = {"drift": check_drift.output}
        if spec.performance:
            check_performance = operators.PerformanceCheckOperator(
                task_id="check_performance", model_name=name, performance=spec.performance.model_dump(mode="json")
            )
            checks.append(check_performance)
            found["performance"] = check_performance.output
        operators.RaiseAlarmOperator(
            task_id="raise_alarm",
            model_name=name,
            kinds=spec.alarms,
            checks=list(found),
            monitoring=monitoring,
            policy=spec.retraining.model_dump(mode="json"),
            notifications=spec.model_dump(mode="json")["notifications"],
            outlets=[alarm_asset(name)],
            trigger_rule="all_done",
            **found,
        )
        checks >> EmptyOperator(task_id="checked")
    return dag
