"""Batch scoring: the spec, its DAG, and the same flow in this process."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Self

from airflow_mlops.core.flow import SCORING
from airflow_mlops.pipelines._shared import dag_arguments, parse_yaml
from airflow_mlops.pipelines._tasks import add_tasks
from airflow_mlops.specs.predict import BatchScoringSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_mlops.core.scoring.batch import PredictionBatch

__all__ = ["BatchScoring"]


class BatchScoring(BatchScoringSpec):
    """Scoring of a dataset by a model's champion, declared.

    Takes the settings of :class:`~airflow_mlops.specs.BatchScoringSpec`. :meth:`dag` gives the DAG, :meth:`run`
    does the same in this process.
    """

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read the same settings from a YAML file.

        :raises SpecError: when the file can't be read, or a setting can't be used; the message has its path.
        """
        return parse_yaml(cls, path)

    def dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG. Its id is the model's name and ``_batch``; without a ``schedule`` only a person starts it.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow.sdk import DAG

        settings = dag_arguments(
            mlflow_conn_id,
            dag_settings,
            dag_id=f"{self.model_name}_batch",
            schedule=None,
            description=self.description or f"Batch scoring by the champion of {self.model_name}",
            tags=["mlops", "batch-scoring"],
        )
        with DAG(**settings) as dag:
            add_tasks(SCORING, self, model_name=self.model_name)
        return dag

    def run(
        self,
        *,
        storage_root: str | os.PathLike[str],
        tracking_uri: str,
        journal_root: str = "",
        journal_conn_id: str = "",
        run_id: str | None = None,
        trusted_types: tuple[str, ...] = (),
    ) -> PredictionBatch:
        """Do what the DAG does, in this process and without Airflow: in a notebook, in a test.

        :param storage_root: an absolute folder: the one that the model was trained in.
        :param tracking_uri: MLflow's, such as ``http://localhost:5000`` or ``sqlite:////path/mlflow.db``.
        :param journal_root: where the model's journal is kept, if not in the storage root.
        :param journal_conn_id: the connection of type ``aws`` to reach it with, where it is on S3.
        :param run_id: names the run in every record; the same one again finds what was finished.
        :param trusted_types: types that models may hold beside scikit-learn's own.
        :raises DataHaltedError: when the validation halts.
        """
        from airflow_mlops.adapters.mlflow.client import Mlflow
        from airflow_mlops.core.values import PipelineRun
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.hooks.storage import open_storage
        from airflow_mlops.steps import Platform
        from airflow_mlops.steps.scoring.predict import score_dataset

        run = PipelineRun(pipeline=f"{self.model_name}_batch", run_id=run_id or f"local__{uuid.uuid4().hex[:12]}")
        storage = open_storage(os.fspath(storage_root), journal_root, journal_conn_id)
        platform = Platform(storage, Mlflow(tracking_uri), trusted_types)
        return score_dataset(self, platform=platform, run=run, connections=AirflowConnections())
