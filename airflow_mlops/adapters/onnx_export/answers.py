"""onnxruntime and scikit-learn: what a graph and its model say of the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier

from airflow_mlops.core.packaging.conversion import MISSING_TEXT, Answers, InputKind
from airflow_mlops.errors import ConversionError, EvaluationError

__all__ = ["answers_of_graph", "answers_of_model", "rows_to_compare"]

_ODD_ROWS = 5
"""How many rows each column is made odd in."""

_NEVER_SEEN = "\N{REPLACEMENT CHARACTER} never seen"
_ERRORS_ONLY = 3


def rows_to_compare(model: Any, sample: Any, kinds: Mapping[str, InputKind]) -> tuple[Any, int]:
    """Return a sample with odd rows added: each column missing in some, each text column never seen in some.

    Rows of a kind that the model itself refuses are left out.

    :param sample: a pandas data frame with the columns that the model reads.
    :returns: the rows, and how many of them are odd ones.
    """
    start = sample.head(_ODD_ROWS)
    kinds_of_odd = (
        [start.assign(**{name: None if kind == "text" else np.nan}) for name, kind in kinds.items()],
        [start.assign(**{name: _NEVER_SEEN}) for name, kind in kinds.items() if kind == "text"],
    )
    taken = [rows for rows in (pd.concat(frames) for frames in kinds_of_odd if frames) if _takes(model, rows)]
    return pd.concat([sample, *taken], ignore_index=True), sum(map(len, taken))


def answers_of_model(model: Any, rows: Any) -> Answers:
    """Return labels and probabilities of a classifier, as far as it has them, otherwise the predicted numbers.

    :raises EvaluationError: when it fails on the rows.
    """
    try:
        predicted = np.asarray(model.predict(rows))
        if not is_classifier(model):
            return Answers(numbers=_by_row(predicted, len(rows)))
        numbers = _by_row(model.predict_proba(rows), len(rows)) if hasattr(model, "predict_proba") else None
    except Exception as error:
        raise EvaluationError(f"The model can't predict the rows: {type(error).__name__}: {error}") from error
    return Answers(labels=predicted, numbers=numbers)


def answers_of_graph(graph: bytes, rows: Any, kinds: Mapping[str, InputKind], *, like: Answers) -> Answers:
    """Return what an ONNX graph says of the rows.

    :param like: the model's own answers: what to take from the graph's outputs.
    :raises ConversionError: when onnxruntime can't load the graph, or fails on the rows.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    feed = {name: _input(rows[name], kind) for name, kind in kinds.items()}
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, feed)
    except Exception as error:  # onnxruntime's have no class in common
        reason = str(error).strip().partition("\n")[0]
        raise ConversionError(f"onnxruntime can't run the model: {type(error).__name__}: {reason[:300]}") from error
    if like.labels is None:
        return Answers(numbers=_by_row(outputs[0], len(rows)))
    numbers = None if like.numbers is None else _by_row(outputs[1], len(rows))
    return Answers(labels=np.asarray(outputs[0]).reshape(len(rows)), numbers=numbers)


def _takes(model: Any, rows: Any) -> bool:
    try:
        answers_of_model(model, rows)
    except EvaluationError:
        return False
    return True


def _input(values: Any, kind: InputKind) -> NDArray[Any]:
    if kind == "number":
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float32).reshape(-1, 1)
    texts = values.astype(object).where(values.notna(), MISSING_TEXT)
    return np.asarray(texts.to_numpy(dtype=object)).reshape(-1, 1)


def _by_row(numbers: Any, n_rows: int) -> NDArray[np.float64]:
    return np.asarray(numbers, dtype=np.float64).reshape(n_rows, -1)
