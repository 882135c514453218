"""Continuous training of one model: the spec, its DAGs, and the same flow in this process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from airflow_mlops.extras import require_extras
from airflow_mlops.pipelines._shared import parse_yaml
from airflow_mlops.specs.pipeline import PipelineSpec

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_mlops.steps.pipeline import PipelineResult

__all__ = ["ContinuousTraining"]


class ContinuousTraining(PipelineSpec):
    """Continuous training of one model, declared.

    Takes the settings of :class:`~airflow_mlops.specs.PipelineSpec`. :meth:`dag` gives the DAG, :meth:`run`
    does the same in this process.
    """

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read the same settings from a YAML file.

        :raises SpecError: when the file can't be read, or a setting can't be used; the message has its path.
        """
        return parse_yaml(cls, path)

    def dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG that trains. Its id is the model's name.

        The trigger form offers to force a training, to set the data's window, to hold the promotion, and
        every hyperparameter.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow_mlops.pipelines._training import build_training_dag

        return build_training_dag(self, mlflow_conn_id, dag_settings)

    def monitoring_dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG that watches production, as ``monitoring.schedule`` says. Its id ends in ``_monitoring``.

        It checks the drift of the inference log and, where ``performance`` is declared, what late labels say. Where
        ``drift`` or ``performance`` is among the triggers, an alert starts the DAG that trains.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow_mlops.pipelines._monitoring import build_monitoring_dag

        return build_monitoring_dag(self, mlflow_conn_id, dag_settings)

    def rollback_dag(self, *, mlflow_conn_id: str = "mlflow_default", **dag_settings: Any) -> DAG:
        """Return the DAG by which a person goes back to an earlier champion. Its id ends in ``_rollback``.

        :param mlflow_conn_id: the Airflow connection to MLflow.
        :param dag_settings: more arguments for :class:`airflow.sdk.DAG`; they win over the defaults.
        """
        from airflow_mlops.pipelines._rollback import build_rollback_dag

        return build_rollback_dag(self, mlflow_conn_id, dag_settings)

    def run(
        self,
        *,
        storage_root: str | os.PathLike[str],
        tracking_uri: str,
        journal_root: str = "",
        journal_conn_id: str = "",
        force: bool = False,
        params: Mapping[str, Any] | None = None,
        window_start: datetime | str | None = None,
        window_end: datetime | str | None = None,
        promotion: Literal["automatic", "hold"] | None = None,
        run_id: str | None = None,
        trusted_types: tuple[str, ...] = (),
    ) -> PipelineResult:
        """Do what the DAG does, in this process and without Airflow: in a notebook, in a test.

        :param storage_root: an absolute folder for snapshots, reports and journals.
        :param tracking_uri: MLflow's, such as ``http://localhost:5000`` or ``sqlite:////path/mlflow.db``.
        :param journal_root: where journals and ledgers are kept, if not in the storage root.
        :param journal_conn_id: the connection of type ``aws`` to reach it with, where it is on S3.
        :param force: train even if nothing changed.
        :param params: hyperparameters that replace the spec's.
        :param window_start: first time that belongs, in place of the spec's.
        :param window_end: first time that does not, in place of the spec's.
        :param promotion: in place of the spec's policy.
        :param run_id: names the run in every record; the same one again finds what was finished.
        :param trusted_types: types that models may hold beside scikit-learn's own.
        :raises MissingExtraError: when an extra that the settings ask for is not installed, before anything is read.
        :raises DataHaltedError: when the validation halts.
        """
        require_extras(self.needed_extras)
        from airflow_mlops.adapters.mlflow.client import Mlflow
        from airflow_mlops.core.values import PipelineRun
        from airflow_mlops.hooks.sources import AirflowConnections
        from airflow_mlops.hooks.storage import open_storage
        from airflow_mlops.steps import Platform
        from airflow_mlops.steps.pipeline import run_pipeline

        settings = self.model_dump()
        window = {"window_start": window_start, "window_end": window_end}
        settings["data"] |= {name: moment for name, moment in window.items() if moment is not None}
        settings["promotion"] |= {"policy": promotion} if promotion else {}
        spec = PipelineSpec.parse(settings)
        run = PipelineRun(pipeline=self.model_name, run_id=run_id or f"local__{uuid.uuid4().hex[:12]}")
        storage = open_storage(os.fspath(storage_root), journal_root, journal_conn_id)
        platform = Platform(storage, Mlflow(tracking_uri), trusted_types)
        return run_pipeline(
            spec, platform=platform, run=run, connections=AirflowConnections(), force=force, params=params
        )
