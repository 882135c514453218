"""What a step was given: the documents of earlier steps, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.splitting.split import DatasetSplit
from airflow_mlops.core.training.model import TrainedModel
from airflow_mlops.core.values import Value

__all__ = ["read_given"]

_KINDS: Mapping[str, type[Value]] = {
    kind.__name__: kind for kind in (DatasetSnapshot, DatasetSplit, TrainedModel, ModelVersion)
}


def read_given(documents: Iterable[Any]) -> list[Value]:
    """Return the data and the models among what a step was given; the rest is settings and what others found.

    :raises IntegrityError: when a document of such a kind is damaged.
    """
    found = []
    for document in documents:
        kind = document.get("kind") if isinstance(document, Mapping) else type(document).__name__
        if cls := _KINDS.get(str(kind)):
            found.append(cls.from_dict(document))
    return found
