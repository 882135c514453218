"""Waiting as a task."""

from __future__ import annotations

from airflow_mlops.sensors.data import NewDataSensor
from airflow_mlops.sensors.model import ModelVersionSensor
from airflow_mlops.sensors.monitor import DriftSensor

__all__ = ["DriftSensor", "ModelVersionSensor", "NewDataSensor"]
