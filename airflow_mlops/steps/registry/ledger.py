"""The ledger of a model: what the monitoring saw, whether a run trained, what the gate and people said, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from airflow_mlops.adapters.storage.store import AppendOnlyLog, Storage
from airflow_mlops.core.gate.rules import GateDecision
from airflow_mlops.core.promotion.approval import Approval
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import IntegrityError
from airflow_mlops.steps.platform import folder_name

__all__ = ["Decision", "append_decision", "of_kind", "read_alerts", "read_decisions", "read_ledger", "tell_decision"]

Decision: TypeAlias = MonitoringDecision | RetrainDecision | GateDecision | Approval
"""What a ledger holds."""

D = TypeVar("D", MonitoringDecision, RetrainDecision, GateDecision, Approval)

_KINDS: dict[str, type[Decision]] = {
    kind.__name__: kind for kind in (MonitoringDecision, RetrainDecision, GateDecision, Approval)
}


def append_decision(decision: Decision, *, storage: Storage) -> None:
    """Write a decision to the ledger of its model, after all that are there."""
    ledger = _ledger(decision.model_name, storage)
    number = len(ledger) + 1
    while not ledger.append(decision.to_dict(), number=number):
        number += 1


def read_ledger(model_name: str, *, storage: Storage) -> list[Decision]:
    """Return the ledger of a model, oldest first.

    :raises IntegrityError: when an entry is missing or damaged.
    """
    entries = _ledger(model_name, storage).entries()
    return [_read(entry, f"{model_name}: entry {number} of its ledger") for number, entry in enumerate(entries, 1)]


def _read(entry: Any, subject: str) -> Decision:
    """Return an entry; what can't be read is named, for whoever has to find it."""
    name = entry.get("kind") if isinstance(entry, Mapping) else None
    kind = _KINDS.get(str(name))
    if kind is None:
        known = ", ".join(_KINDS)
        raise IntegrityError(
            f"{subject} is of kind {name!r}, this package reads {known}. If a newer version wrote it, "
            f"upgrade airflow-mlops."
        )
    try:
        return kind.from_dict(entry)
    except IntegrityError as error:
        raise IntegrityError(f"{subject}: {error}") from error


def read_decisions(model_name: str, *, storage: Storage) -> list[RetrainDecision]:
    """Return whether the runs of a model trained, oldest first."""
    return of_kind(RetrainDecision, read_ledger(model_name, storage=storage))


def read_alerts(model_name: str, *, storage: Storage) -> list[MonitoringDecision]:
    """Return what the monitoring of a model decided, alerts or not, oldest first."""
    return of_kind(MonitoringDecision, read_ledger(model_name, storage=storage))


def tell_decision(decision: Decision) -> tuple[str, str, tuple[str, ...]]:
    """Return what was decided, by what or whom, and the reasons, for people."""
    match decision:
        case MonitoringDecision():
            return "alert" if decision.is_alert else "no alert", "monitoring", sentences_of(decision.reasons)
        case RetrainDecision():
            return "retrain" if decision.should_retrain else "no", decision.trigger, sentences_of(decision.reasons)
        case GateDecision():
            return decision.verdict, "gate", sentences_of(decision.reasons)
        case Approval():
            return decision.verdict, decision.by or "nobody", (decision.note or f"version {decision.model_version}",)


def of_kind(kind: type[D], ledger: Sequence[Decision]) -> list[D]:
    """Return the decisions of one kind of a ledger that was read, for those who need several kinds."""
    return [entry for entry in ledger if isinstance(entry, kind)]


def _ledger(model_name: str, storage: Storage) -> AppendOnlyLog:
    return storage.log("decisions", folder_name(model_name))
