"""The model server: it follows what the journal and the deployment say, and needs no Airflow."""

from __future__ import annotations
