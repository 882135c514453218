"""What callers send by mistake, and what the model itself makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters.scoring_server import request_body
from airflow_mlops.core.packaging.serving_check import Expected
from airflow_mlops.errors import EvaluationError
from airflow_mlops.specs.serving_check import MalformedRequest
from airflow_mlops.steps.registry.models import LoadedModel

__all__ = ["Case", "malformed_requests"]

_MAX_COLUMNS = 20
"""In how many columns, the first ones, a mistake is made; wide tables would take minutes."""

_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal")
_TEXTS = ("string", "large_string", "dictionary")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request, and which answer is right.

    :param about: the column that it is about, for messages; empty where it is about none.
    :param expected: what the model itself predicts; ``None`` where an error is right.
    :param may_refuse: whether an error is right as well.
    """

    body: bytes
    about: str = ""
    expected: NDArray[np.generic] | None = None
    may_refuse: bool = True
    method: str = "POST"
    content_type: str = "application/json"

    @property
    def wanted(self) -> Expected:
        """Which answer is right, for the report."""
        if self.expected is None:
            return "error"
        return "predictions_or_error" if self.may_refuse else "predictions"


def malformed_requests(
    loaded: LoadedModel, rows: Any, types: Mapping[str, str], batch_rows: int
) -> Iterator[tuple[MalformedRequest, list[Case]]]:
    """Give the malformed requests of each kind; none of a kind that the columns leave no room for.

    Whatever the model itself can answer may be answered, and by nothing else; the rest must be refused.

    :param rows: a data frame of the columns that the model reads, with at least one row.
    :param types: the columns' Arrow types, by name.
    """
    row, names = rows.head(1), list(rows.columns)[:_MAX_COLUMNS]
    texts = [name for name in names if types[name].startswith(_TEXTS)]
    numbers = [name for name in names if types[name].startswith(_NUMBERS)]

    def changed(name: str, value: object) -> Case:
        return _as_model(loaded, row.assign(**{name: [value]}), about=name)

    everything = loaded.predict(rows)
    backwards = request_body(rows[list(rows.columns)[::-1]])
    yield "reordered_columns", [Case(body=backwards, expected=everything, may_refuse=False)]
    yield "extra_column", [_as_model(loaded, rows.assign(**{"mlops extra column": 1.0}))]
    yield "missing_column", [Case(body=request_body(row.drop(columns=name)), about=name) for name in names]
    yield "null_value", [changed(name, float("nan") if name in numbers else None) for name in names]
    yield "unknown_category", [changed(name, "no such category \N{SNOWMAN}") for name in texts]
    yield "wrong_type", [changed(name, 12.5 if name in texts else "many") for name in names]
    yield (
        "not_finite",
        [changed(name, sign * float("inf")) for name in numbers for sign in (1, -1)]
        + [_as_model(loaded, row.assign(**{name: [float("nan")]}), about=name, nan_as_null=False) for name in numbers],
    )
    yield "empty_batch", [_as_model(loaded, rows.head(0))]
    yield "huge_batch", [_as_model(loaded, rows.iloc[np.resize(np.arange(len(rows)), batch_rows)])]
    whole = request_body(row)
    yield "broken_json", [Case(body=body) for body in (whole[:-2], b"", b"[]", b"\xff")]
    yield "wrong_content_type", [Case(body=whole, content_type="text/plain")]
    yield "wrong_method", [Case(body=whole, method=method) for method in ("GET", "PUT", "DELETE")]


def _as_model(loaded: LoadedModel, frame: Any, *, about: str = "", nan_as_null: bool = True) -> Case:
    """Return the request of these rows, to be answered as the model itself does."""
    try:
        expected = loaded.predict(frame)
    except EvaluationError:
        expected = None
    return Case(body=request_body(frame, nan_as_null=nan_as_null), about=about, expected=expected)
