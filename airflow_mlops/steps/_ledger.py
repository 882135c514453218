"""The ledger: every answer to "train?", yes or no."""

from __future__ import annotations

from airflow_mlops.adapters.storage import AppendOnlyLog, Storage
from airflow_mlops.core.monitor import RetrainDecision
from airflow_mlops.steps._platform import folder_name

__all__ = ["ledger_of", "read_decisions"]


def ledger_of(model_name: str, storage: Storage) -> AppendOnlyLog:
    """Return the log that a model's decisions are kept in."""
    return storage.log("decisions", folder_name(model_name))


def read_decisions(model_name: str, *, storage: Storage) -> list[RetrainDecision]:
    """Return the ledger of a model's retrain decisions, oldest first."""
    return [RetrainDecision.from_dict(entry) for entry in ledger_of(model_name, storage).entries()]
