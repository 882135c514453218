"""The rows of a request, whichever form MLflow has given them, and whose each of them is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.mlflow.scoring import count_rows

__all__ = ["Rows", "read_rows"]


@dataclass(frozen=True)
class Rows:
    """Rows to be scored.

    :param data: a data frame, columns by name, or a list of mappings.
    :param ids: ``(n_rows,)``, by which a label will find its prediction.
    :param owners: ``(n_rows,)``, whom a share of the traffic is drawn by: the ids, or the request where it has none.
    """

    data: Any
    ids: NDArray[np.object_]
    owners: Sequence[str]

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return those rows, as they are where that is all of them.

        :param chosen: ``(n_rows,) bool``.
        """
        if chosen.all():
            return self
        owners = [owner for owner, is_chosen in zip(self.owners, chosen, strict=True) if is_chosen]
        return Rows(_chosen(self.data, chosen), self.ids[chosen], owners)


def read_rows(data: Any, id_column: str, request_id: str) -> Rows:
    """Return a request's rows with their ids: what the column says, or made of the request's id.

    :param data: what MLflow has made of the request.
    :param id_column: empty where there is none.
    """
    n_rows = count_rows(data)
    made_up = [request_id] if n_rows == 1 else [f"{request_id}-{number}" for number in range(n_rows)]
    found = _column(data, id_column) if id_column else []
    if len(found) != n_rows:
        return Rows(data, np.array(made_up, dtype=object), [request_id] * n_rows)
    texts = [_text(value) for value in found]
    ids = [text or made for text, made in zip(texts, made_up, strict=True)]
    return Rows(data, np.array(ids, dtype=object), [text or request_id for text in texts])


def _column(data: Any, name: str) -> list[Any]:
    if isinstance(data, list):
        return [row.get(name) if isinstance(row, dict) else None for row in data]
    try:
        return list(np.ravel(data[name]))
    except (KeyError, IndexError, TypeError):  # there is no such column, or there are no names at all
        return []


def _chosen(data: Any, chosen: NDArray[np.bool_]) -> Any:
    if isinstance(data, dict):
        return {name: np.asarray(column)[chosen] for name, column in data.items()}
    if isinstance(data, list):
        return [row for row, is_chosen in zip(data, chosen, strict=True) if is_chosen]
    return data[chosen]


def _text(value: Any) -> str:
    """Return an id as text: 7 and 7.0, which a missing neighbour makes of it, are the same; nothing is empty."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value)
