"""Visits to the doctor: a pipeline declared in YAML, started by the clock."""

from __future__ import annotations

from pathlib import Path

from airflow_mlops import ContinuousTraining

dag = ContinuousTraining.from_yaml(Path(__file__).parents[1] / "include" / "randhie.yaml").dag()
