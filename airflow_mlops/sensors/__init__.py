"""Waiting as a task."""

from __future__ import annotations

from airflow_mlops.sensors.data import NewDataSensor

__all__ = ["NewDataSensor"]
