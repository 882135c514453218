"""In which other format a model is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["ConversionSpec"]


class ConversionSpec(Spec):
    """A format beside the package's own, kept only if it answers as the model does.

    :param format: ``onnx``, for programs that embed a model without Python or scikit-learn.
    :param tolerance: by how much an answer may differ on any compared row: a probability by this much, another
        number by this fraction of the range of the model's answers. Labels must be equal.
    """

    format: Literal["onnx"] = "onnx"
    tolerance: float = Field(default=1e-4, gt=0, le=0.01)
