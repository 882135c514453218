"""Rows as MLflow's scoring protocol sends them, and its answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import requests
from mlflow.utils.proto_json_utils import NumpyEncoder

from airflow_mlops.core.packaging.serving_check import Answer

__all__ = ["read_answer", "request_body"]


def request_body(frame: Any, *, nan_as_null: bool = True) -> bytes:
    """Write a data frame as a caller would: numbers to their last bit, and what is missing as ``null``.

    :param nan_as_null: ``False`` writes NaN as ``NaN``, which is no JSON and which Python's writers write all the same.
    """
    rows = frame.astype(object)
    if nan_as_null:
        rows = rows.where(frame.notna(), None)
    return json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}, default=_plain).encode()


def _plain(value: object) -> Any:
    return float(value) if isinstance(value, Decimal) else NumpyEncoder().default(value)


def read_answer(response: requests.Response, seconds: float) -> Answer:
    """Return the predictions of a response, or the code of its error; its message may quote the rows."""
    try:
        document = response.json()
    except ValueError:
        document = None
    found = document if isinstance(document, dict) else {}
    if response.status_code != requests.codes.ok:
        return Answer(status=response.status_code, problem=str(found.get("error_code", "")), seconds=seconds)
    try:
        predictions = np.asarray(found["predictions"])
    except (KeyError, ValueError):
        return Answer(status=response.status_code, problem="without predictions", seconds=seconds)
    return Answer(status=response.status_code, predictions=predictions, seconds=seconds)
