"""One use case per step of the flow: plain functions that run in a notebook, in a container or in a task."""

from __future__ import annotations

from airflow_mlops.steps.platform import Platform

__all__ = ["Platform"]
