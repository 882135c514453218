"""A spec becomes a DAG: wiring only."""

from __future__ import annotations

from airflow_mlops.pipelines.batch_scoring import BatchScoring
from airflow_mlops.pipelines.continuous_training import ContinuousTraining
from airflow_mlops.pipelines.insertion import insert_task

__all__ = ["BatchScoring", "ContinuousTraining", "insert_task"]
