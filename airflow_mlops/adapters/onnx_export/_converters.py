"""skl2onnx: the parts of models that it converts wrongly or not at all, above all those of the default preprocessing.

They are given to each conversion and change nothing in the library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common._apply_operation import apply_cast, apply_concat
from skl2onnx.common.data_types import StringTensorType
from skl2onnx.operator_converters.common import concatenate_variables
from skl2onnx.operator_converters.decision_tree import (
    convert_sklearn_decision_tree_classifier,
    convert_sklearn_decision_tree_regressor,
)
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from skl2onnx.operator_converters.ordinal_encoder import convert_sklearn_ordinal_encoder
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from skl2onnx.shape_calculators.imputer import calculate_sklearn_imputer_output_shapes
from skl2onnx.shape_calculators.one_hot_encoder import calculate_sklearn_one_hot_encoder_output_shapes
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from airflow_mlops.core.packaging.conversion import MISSING_TEXT

__all__ = ["CONVERTERS", "SHAPES"]

Converter = Callable[[Any, Any, Any], None]


_MISSING_LEFT = "nodes_missing_value_tracks_true"


class _ContainerOfTrees:
    """A container whose trees send a missing value where the model's own send it.

    skl2onnx does not write that down for scikit-learn's plain trees; for gradient boosting by histograms it writes
    booleans, which protobuf 7 does not take for integers.
    """

    def __init__(self, container: Any, missing_left: list[int]) -> None:
        self._container = container
        self._missing_left = missing_left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *args: Any, **attributes: Any) -> None:
        if _MISSING_LEFT in attributes:
            written = [int(flag) for flag in attributes[_MISSING_LEFT]]
            knows_better = len(self._missing_left) == len(written)
            attributes[_MISSING_LEFT] = self._missing_left if knows_better else written
        self._container.add_node(*args, **attributes)


def _with_missing(convert: Converter) -> Converter:
    def convert_trees(scope: Any, operator: Any, container: Any) -> None:
        model = operator.raw_operator
        trees = [each.tree_ for each in getattr(model, "estimators_", [model]) if hasattr(each, "tree_")]
        missing_left = [int(bool(flag)) for tree in trees for flag in tree.missing_go_to_left]
        convert(scope, operator, _ContainerOfTrees(container, missing_left))

    return convert_trees


def _impute(scope: Any, operator: Any, container: Any) -> None:
    """Fill text where it says that it is missing; add columns that say where numbers were missing."""
    if _is_text(operator):
        imputer = copy.copy(operator.raw_operator)
        imputer.missing_values = MISSING_TEXT
        operator.raw_operator = imputer
    if not _n_indicators(operator.raw_operator):
        convert_sklearn_imputer(scope, operator, container)
        return
    imputer = operator.raw_operator
    values = concatenate_variables(scope, operator.inputs, container)
    is_missing = _node(scope, container, "IsNaN", [values])
    median = _constant(scope, container, TensorProto.FLOAT, imputer.statistics_)
    filled = _node(scope, container, "Where", [is_missing, median, values])
    places = _constant(scope, container, TensorProto.INT64, imputer.indicator_.features_)
    marked = _node(scope, container, "Gather", [is_missing, places], axis=1)
    marks = scope.get_unique_variable_name("marks")
    apply_cast(scope, marked, marks, container, to=TensorProto.FLOAT)
    apply_concat(scope, [filled, marks], operator.outputs[0].full_name, container, axis=1)


def _impute_shape(operator: Any) -> None:
    calculate_sklearn_imputer_output_shapes(operator)
    shape = operator.outputs[0].type.shape
    if shape[1] is not None:
        shape[1] += _n_indicators(operator.raw_operator)


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Give each frequent category a column; skl2onnx fails where there are rare ones or unknown ones."""
    encoder = operator.raw_operator
    if not _is_text(operator) or encoder.drop is not None or encoder.handle_unknown == "error":
        convert_sklearn_one_hot_encoder(scope, operator, container)
        return
    encoded = []
    for place, values in enumerate(_text_columns(scope, operator, container)):
        codes, has_rare = _codes(encoder, place)
        code = _code(scope, container, values, encoder.categories_[place], codes, max(codes) if has_rare else -1)
        every_code = _constant(scope, container, TensorProto.INT64, np.unique(codes))
        is_code = _node(scope, container, "Equal", [code, every_code])
        encoded.append(scope.get_unique_variable_name("one_hot"))
        apply_cast(scope, is_code, encoded[-1], container, to=TensorProto.FLOAT)
    apply_concat(scope, encoded, operator.outputs[0].full_name, container, axis=1)


def _one_hot_shape(operator: Any) -> None:
    calculate_sklearn_one_hot_encoder_output_shapes(operator)
    encoder = operator.raw_operator
    if _is_text(operator) and encoder.drop is None:
        n_codes = sum(len(set(_codes(encoder, place)[0])) for place in range(len(encoder.categories_)))
        operator.outputs[0].type.shape[1] = n_codes


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    """Give each category its code; skl2onnx takes the rare ones of the first column for those of every column."""
    encoder = operator.raw_operator
    if not _is_text(operator) or encoder.handle_unknown != "use_encoded_value":
        convert_sklearn_ordinal_encoder(scope, operator, container)
        return
    encoded = [
        _code(
            scope,
            container,
            values,
            encoder.categories_[place],
            _codes(encoder, place)[0],
            int(encoder.unknown_value),
        )
        for place, values in enumerate(_text_columns(scope, operator, container))
    ]
    table = scope.get_unique_variable_name("codes")
    apply_concat(scope, encoded, table, container, axis=1)
    to = TensorProto.FLOAT if np.issubdtype(encoder.dtype, np.floating) else TensorProto.INT64
    apply_cast(scope, table, operator.outputs[0].full_name, container, to=to)


def _codes(encoder: Any, place: int) -> tuple[list[int], bool]:
    """Return the code of each category of a column, and whether the rare ones share one, which is the last."""
    categories = encoder.categories_[place]
    rare = getattr(encoder, "infrequent_categories_", None)  # there only where an encoder looks for them
    if rare is None or rare[place] is None:
        return list(range(len(categories))), False
    is_rare = np.isin(categories, rare[place])
    codes = np.where(is_rare, (~is_rare).sum(), np.cumsum(~is_rare) - 1)
    return codes.tolist(), True


def _code(scope: Any, container: Any, values: str, categories: Any, codes: list[int], unknown: int) -> str:
    return _node(
        scope,
        container,
        "LabelEncoder",
        [values],
        op_domain="ai.onnx.ml",
        op_version=2,
        keys_strings=list(categories),
        values_int64s=codes,
        default_int64=unknown,
    )


def _text_columns(scope: Any, operator: Any, container: Any) -> Iterator[str]:
    """Give the columns of the operator's inputs one by one."""
    for variable in operator.inputs:
        n_columns = variable.get_second_dimension()
        for place in range(n_columns):
            index = _constant(scope, container, TensorProto.INT64, np.array([place]))
            yield _node(scope, container, "Gather", [variable.full_name, index], axis=1)


def _node(scope: Any, container: Any, op_type: str, inputs: list[str], **attributes: Any) -> str:
    output: str = scope.get_unique_variable_name(op_type.lower())
    container.add_node(op_type, inputs, output, name=scope.get_unique_operator_name(op_type), **attributes)
    return output


def _constant(scope: Any, container: Any, kind: int, values: Any) -> str:
    name: str = scope.get_unique_variable_name("constant")
    container.add_initializer(name, kind, [len(values)], values.tolist())
    return name


def _is_text(operator: Any) -> bool:
    return isinstance(operator.inputs[0].type, StringTensorType)


def _n_indicators(imputer: Any) -> int:
    return len(imputer.indicator_.features_) if imputer.add_indicator else 0


CONVERTERS: dict[type, Converter] = {
    DecisionTreeClassifier: _with_missing(convert_sklearn_decision_tree_classifier),
    DecisionTreeRegressor: _with_missing(convert_sklearn_decision_tree_regressor),
    ExtraTreesClassifier: _with_missing(convert_sklearn_random_forest_classifier),
    ExtraTreesRegressor: _with_missing(convert_sklearn_random_forest_regressor_converter),
    HistGradientBoostingClassifier: _with_missing(convert_sklearn_random_forest_classifier),
    HistGradientBoostingRegressor: _with_missing(convert_sklearn_random_forest_regressor_converter),
    OneHotEncoder: _one_hot,
    OrdinalEncoder: _ordinal,
    RandomForestClassifier: _with_missing(convert_sklearn_random_forest_classifier),
    RandomForestRegressor: _with_missing(convert_sklearn_random_forest_regressor_converter),
    SimpleImputer: _impute,
}
"""What replaces the library's own, by type."""

SHAPES = {OneHotEncoder: _one_hot_shape, SimpleImputer: _impute_shape}
"""What gives the shapes of their outputs, where it is another one."""
