"""The DAG for the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlops.pipelines._shared import dag_arguments
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["build_rollback_dag"]


def build_rollback_dag(spec: PipelineSpec, mlflow_conn_id: str, dag_settings: Mapping[str, Any]) -> DAG:
    """Return a DAG of one task, with a form that asks for the reason."""
    from airflow.sdk import DAG

    from airflow_mlops import operators
    from airflow_mlops.assets import model_asset

    settings = dag_arguments(
        mlflow_conn_id,
        dag_settings,
        dag_id=f"{spec.model_name}_rollback",
        schedule=None,
        description=f"Go back to an earlier champion of {spec.model_name}",
        doc_md=f"Makes the last healthy version of **{spec.model_name}** champion again. The version that is rolled "
        "back from does not return by itself. The journal keeps the reason.",
        params=_form(),
        tags=["mlops", "rollback"],
    )
    with DAG(**settings) as dag:
        operators.RollbackModelOperator(
            task_id="rollback",
            model_name=spec.model_name,
            reason="{{ params.reason }}",
            from_version="{{ params.from_version or '' }}",
            to_version="{{ params.to_version or '' }}",
            notifications=spec.notifications,
            outlets=[model_asset(spec.model_name)],
        )
    return dag


def _form() -> dict[str, Any]:
    from airflow.sdk import Param

    return {
        "reason": Param(type="string", minLength=3, title="Reason", description="The journal keeps it."),
        "from_version": Param(
            None,
            type=["null", "integer"],
            title="From version",
            description="The champion that is to go: nothing happens if it is another one by now. Empty: any.",
        ),
        "to_version": Param(
            None,
            type=["null", "integer"],
            title="To version",
            description="A version that was champion before. Empty: the last healthy one.",
        ),
    }
