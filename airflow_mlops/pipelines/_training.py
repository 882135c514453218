"""The DAG that trains: from the data to the champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.core.flow import TRAINING
from airflow_mlops.pipelines._docs import describe
from airflow_mlops.pipelines._form import form_templates, trigger_form
from airflow_mlops.pipelines._schedule import schedule_of
from airflow_mlops.pipelines._shared import dag_arguments
from airflow_mlops.pipelines._tasks import add_tasks
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["build_training_dag"]


def build_training_dag(spec: PipelineSpec, mlflow_conn_id: str, dag_settings: Mapping[str, Any]) -> DAG:
    """Return the DAG, with a form for a person who triggers it."""
    from airflow.sdk import DAG

    settings = dag_arguments(
        mlflow_conn_id,
        dag_settings,
        dag_id=spec.model_name,
        schedule=schedule_of(spec),
        description=spec.description or f"Continuous training of {spec.model_name}",
        doc_md=describe(spec),
        tags=["mlops", "continuous-training"],
    )
    form: Any = settings.pop("params", None)
    with DAG(**settings) as dag:
        add_tasks(TRAINING, spec, model_name=spec.model_name, form=form_templates(spec))
    # Not before: every operator would copy the whole form, which is a third of the parse.
    if form:
        dag.params = form
    else:  # one by one, since Airflow would check each default by JSON Schema, and ours are of the types that they have
        for name, param in trigger_form(spec).items():
            dag.params[name] = param
    return dag
