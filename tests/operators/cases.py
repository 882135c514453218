"""DAGs that several tests run."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_mlops.operators import SnapshotDatasetOperator, ValidateDataOperator
from tests.steps.cases import Bench, small_frame, small_settings


def halting_checks(bench: Bench) -> DAG:
    """Return a DAG that halts: a value is missing."""
    frame = small_frame(start="2021-01-01")
    frame.loc[3, "y"] = None
    bench.deliver(frame)
    settings = small_settings(bench.inbox)
    with DAG(dag_id="checks", schedule=None) as dag:
        snapshot = SnapshotDatasetOperator(task_id="snapshot", dataset="small", data=settings["data"])
        ValidateDataOperator(task_id="validate", snapshot=snapshot.output, validation=settings["validation"])
    return dag
