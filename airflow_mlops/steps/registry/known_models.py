"""Which models a storage has records of, for those who ask for one that it has not."""

from __future__ import annotations

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.errors import SpecError, bounded, did_you_mean
from airflow_mlops.steps.platform import folder_name

__all__ = ["no_records"]


def no_records(model_name: str, kind: str, *, storage: Storage) -> SpecError:
    """Return the error for a model that has no records of a kind.

    :param kind: the folder that they would be in: ``journals`` or ``decisions``.
    """
    missing = f"{model_name!r} has no {_KINDS[kind]}: {storage.journals.path(kind, folder_name(model_name))} is empty."
    with_journal, with_ledger = (_names(folder, storage) for folder in ("journals", "decisions"))
    if kind == "journals" and folder_name(model_name) in with_ledger:
        return SpecError(f"{missing} No version was promoted yet. Why: airflow-mlops decisions {model_name}")
    known = sorted({*with_journal, *with_ledger} - {folder_name(model_name)})
    return SpecError(
        f"{missing} Is the name right, and is it the storage root (and the journal root) of that model?"
        f"{did_you_mean(model_name, known)} Models there: {bounded(known)}."
    )


_KINDS = {"journals": "history", "decisions": "decisions"}


def _names(folder: str, storage: Storage) -> list[str]:
    return [name for name in storage.journals.names(folder) if not name.startswith(".")]
