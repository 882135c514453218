"""The DAG that watches production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.flow import MONITORING
from airflow_mlops.pipelines._docs import describe_monitoring
from airflow_mlops.pipelines._shared import dag_arguments
from airflow_mlops.pipelines._tasks import add_tasks
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["build_monitoring_dag"]


def build_monitoring_dag(spec: PipelineSpec, mlflow_conn_id: str, dag_settings: Mapping[str, Any]) -> DAG:
    """Return the DAG: each check by itself, then one decision of all that they found.

    A check that fails keeps no other from giving its alert, and fails the run all the same: ``checked`` succeeds only
    after all of them have.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG, CronTriggerTimetable

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
    with DAG(**settings) as dag:
        tasks = add_tasks(MONITORING, spec, model_name=spec.model_name)
        checks = [task for name, task in tasks.items() if name != "raise_alert"]
        checks >> EmptyOperator(task_id="checked")
    return dag
