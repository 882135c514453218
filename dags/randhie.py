"""Visits to the doctor: a pipeline declared in YAML, started by the clock and by drift, watched, with a way back."""

from __future__ import annotations

from pathlib import Path

from airflow_mlops import ContinuousTraining

randhie = ContinuousTraining.from_yaml(Path(__file__).parents[1] / "include" / "randhie.yaml")
training = randhie.dag()
monitoring = randhie.monitoring_dag()
rollback = randhie.rollback_dag()
