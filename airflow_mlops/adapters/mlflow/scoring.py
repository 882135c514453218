"""MLflow's scoring protocol: a request becomes rows for a model, and its predictions become an answer.

The functions are those of MLflow's own scoring server, so what is accepted and what is answered is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.version import VERSION as MLFLOW_VERSION
from numpy.typing import NDArray

__all__ = [
    "MLFLOW_VERSION",
    "SCORING_ERRORS",
    "ModelFailure",
    "Reply",
    "Scored",
    "Scorer",
    "count_rows",
    "invoke",
    "refusal",
]

_EXAMPLE = "serving_input_example.json"

Predict = Callable[[Any, Any], NDArray[np.generic]]
"""From the request's rows and parameters to one prediction for each row."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered to a request."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows as the model saw them, and what it says of them.

    :param frame: a data frame of the model's own columns.
    :param predictions: ``(n_rows,)``.
    """

    frame: Any
    predictions: NDArray[np.generic]


class ModelFailure(Exception):  # noqa: N818  # it goes no further than to whoever asked the model
    """The model itself failed at rows that fit its signature.

    :param frame: those rows.
    """

    def __init__(self, frame: Any) -> None:
        super().__init__("The model failed.")
        self.frame = frame


SCORING_ERRORS = (ModelFailure, MlflowException)
"""What :meth:`Scorer.score` raises."""


class Scorer:
    """A model that is asked as MLflow asks it: its signature is enforced before it sees anything.

    :param folder: its files, as MLflow stored them.
    :param model: what was loaded from them.
    """

    def __init__(self, folder: Path, model: Any) -> None:
        self._pyfunc = PyFuncModel(Model.load(str(folder)), _Estimator(model))
        self.metadata = self._pyfunc.metadata
        self.input_schema = self.metadata.get_input_schema()
        example = folder / _EXAMPLE
        self.example = example.read_bytes() if example.exists() else b""
        """A request that the model must answer; empty where it was stored without one."""

    def score(self, data: Any, params: Any = None) -> Scored:
        """Predict rows that a request held.

        :raises ModelFailure: when the model fails at them.
        :raises MlflowException: when they do not fit its signature.
        """
        scored: Scored = self._pyfunc.predict(data, params=params)
        return scored


def invoke(body: bytes, content_type: str, scorer: Scorer, predict: Predict, *, max_rows: int) -> Reply:
    """Answer a request as MLflow's scoring server does, errors included, but for the traces of its stack.

    What makes MLflow's server fail with status 500 before a model is asked is the caller's error here: 400, or 415.

    :param scorer: whose signature says what the columns are.
    :param predict: is asked in place of the model.
    :param max_rows: beyond which a request is refused, with status 413.
    """
    asked = _Asked(scorer.metadata, predict, max_rows)
    try:
        found = scoring_server.invocations(body, content_type, asked, scorer.input_schema)
    except _TooManyRowsError as error:
        return refusal(413, "REQUEST_TOO_LARGE", f"{error.message}; {max_rows} are taken at once. Send them in parts.")
    except MlflowException as error:
        error.json_kwargs.pop("stack_trace", None)
        text = error.serialize_as_json()
        return Reply(status=error.get_http_status_code(), media_type="application/json", body=text.encode())
    except (ValueError, RecursionError) as error:  # Python's reader of JSON at numbers and depths that are absurd
        return refusal(400, "BAD_REQUEST", f"The request can't be read: {type(error).__name__}.")
    return Reply(status=found.status, media_type=found.mimetype, body=found.response.encode())


def refusal(status: int, code: str, message: str) -> Reply:
    """Return an error in the protocol's form."""
    text = json.dumps({"error_code": code, "message": message})
    return Reply(status=status, media_type="application/json", body=text.encode())


def count_rows(data: Any) -> int:
    """Return how many rows there are in what MLflow makes of a request: a frame, an array, or columns by name."""
    if isinstance(data, dict):
        return max((np.size(column, 0) if np.ndim(column) else 1 for column in data.values()), default=0)
    return len(data) if hasattr(data, "__len__") else 1


class _TooManyRowsError(MlflowException):  # type: ignore[misc]  # MLflow's class is untyped
    pass


class _Asked:
    """What MLflow's functions take for the model."""

    def __init__(self, metadata: Model, predict: Predict, max_rows: int) -> None:
        self.metadata = metadata
        self._predict, self._max_rows = predict, max_rows

    def predict(self, data: Any, params: Any = None) -> NDArray[np.generic]:
        n_rows = count_rows(data)
        if n_rows > self._max_rows:
            raise _TooManyRowsError(f"The request has {n_rows} rows")
        return self._predict(data, params)


class _Estimator:
    """A model that tells which rows it was given in the end."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Any = None) -> Scored:
        try:
            predictions = np.asarray(self._model.predict(data))
        except Exception as error:  # whatever a model raises
            raise ModelFailure(data) from error
        return Scored(frame=data, predictions=predictions)
