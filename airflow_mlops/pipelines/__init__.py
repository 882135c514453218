"""A spec becomes a DAG: wiring only."""

from __future__ import annotations

from airflow_mlops.pipelines.batch_scoring import BatchScoring
from airflow_mlops.pipelines.continuous_training import ContinuousTraining

__all__ = ["BatchScoring", "ContinuousTraining"]
