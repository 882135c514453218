"""ONNX: a scikit-learn model as a graph that needs no Python, and what each of the two answers."""

from __future__ import annotations

from airflow_mlops.adapters.onnx_export.answers import answers_of_graph, answers_of_model, rows_to_compare
from airflow_mlops.adapters.onnx_export.convert import to_onnx

__all__ = ["answers_of_graph", "answers_of_model", "rows_to_compare", "to_onnx"]
