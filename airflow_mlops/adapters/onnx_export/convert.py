"""skl2onnx: a scikit-learn model becomes an ONNX graph."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from airflow_mlops.adapters.onnx_export._converters import CONVERTERS, SHAPES
from airflow_mlops.core.packaging.conversion import InputKind
from airflow_mlops.errors import ConversionError

__all__ = ["to_onnx"]

_TENSORS = {"number": FloatTensorType, "text": StringTensorType}


def to_onnx(model: Any, kinds: Mapping[str, InputKind], *, name: str) -> bytes:
    """Return the model as an ONNX file's bytes, the same ones for the same model.

    Each column is an input of shape ``(n_rows, 1)``: numbers and booleans as float32, a missing one as NaN; text as
    strings, a missing one as :data:`~airflow_mlops.core.packaging.conversion.MISSING_TEXT`. That a model could be
    converted does not say that the graph answers as it does.

    :param kinds: the columns that the model reads, in order.
    :param name: of the graph.
    :raises ConversionError: when a part of the model can't be converted.
    """
    inputs = [(column, _TENSORS[kind]([None, 1])) for column, kind in kinds.items()]
    try:
        with warnings.catch_warnings(action="ignore"):
            model = _taking_columns(model, kinds)
            graph = convert_sklearn(
                model,
                name,
                inputs,
                # Probabilities as one array, not as a mapping for each row.
                options={id(model): {"zipmap": False}} if is_classifier(model) else None,
                custom_conversion_functions=CONVERTERS,
                custom_shape_calculators=SHAPES,
            )
    except Exception as error:  # whatever a converter stumbles over
        reason = str(error).strip().partition("\n")[0]
        raise ConversionError(f"skl2onnx can't convert the model: {type(error).__name__}: {reason[:300]}") from error
    return bytes(graph.SerializeToString())


def _taking_columns(model: Any, kinds: Mapping[str, InputKind]) -> Any:
    """Put the columns together for a model that takes them as one table, since each is an input of its own."""
    first = model.steps[0][1] if isinstance(model, Pipeline) else model
    if isinstance(first, ColumnTransformer) or "text" in kinds.values():
        return model
    table = ColumnTransformer([("columns", "passthrough", list(kinds))]).fit(
        pd.DataFrame({name: [0.0] for name in kinds})
    )
    return Pipeline([("columns", table), ("model", model)])
