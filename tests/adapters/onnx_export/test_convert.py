from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBRegressor

from airflow_mlops.adapters import onnx_export
from airflow_mlops.adapters.sklearn.preprocess import default_preprocessor, prepend
from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.packaging.conversion import ConversionStatus, Parity, compare_answers, input_kinds, judge_parity
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import ConversionError, EvaluationError

COLUMNS = (
    Column(name="age", type="double"),
    Column(name="work", type="string"),
    Column(name="visits", type="int64"),
    Column(name="is_member", type="bool"),
    Column(name="city", type="string"),
)
KINDS = input_kinds(COLUMNS)


def _people(n_rows: int = 3_000, *, n_cities: int = 8, seed: int = 0) -> pd.DataFrame:
    """Numbers and texts with gaps, frequent categories and rare ones, and an integer without gaps."""
    rng = np.random.default_rng(seed)
    city = rng.choice([f"city {number}" for number in range(n_cities)], n_rows).astype(object)
    city[:3] = "hamlet"
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 12, n_rows).round(3),
            "work": rng.choice(["farm", "mill", "office", "none"], n_rows).astype(object),
            "visits": rng.integers(0, 50, n_rows),
            "is_member": rng.random(n_rows) < 0.4,
            "city": city,
        }
    )
    frame.loc[rng.random(n_rows) < 0.1, "age"] = np.nan
    frame.loc[rng.random(n_rows) < 0.1, "work"] = None
    frame.loc[rng.random(n_rows) < 0.05, "city"] = np.nan
    return frame


PEOPLE = _people()


def _target(frame: pd.DataFrame, *, classes: list[Any] | None = None, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=2.0, size=len(frame))
    value = frame["age"].fillna(50) / 4 + frame["visits"] / 5 + 6 * (frame["work"] == "mill") + noise
    if classes is None:
        return value.to_numpy()
    return np.array(classes)[pd.qcut(value, len(classes), labels=False)]


def _fit(estimator: Any, frame: pd.DataFrame = PEOPLE, *, classes: list[Any] | None = None) -> Any:
    model = prepend(default_preprocessor(estimator, COLUMNS, frame), estimator)
    return model.fit(frame, _target(frame, classes=classes))


def _parity(model: Any, sample: pd.DataFrame = PEOPLE, kinds: Any = KINDS) -> Parity:
    graph = onnx_export.to_onnx(model, kinds, name="people")
    rows, n_odd_rows = onnx_export.rows_to_compare(model, sample, kinds)
    reference = onnx_export.answers_of_model(model, rows)
    current = onnx_export.answers_of_graph(graph, rows, kinds, like=reference)
    return compare_answers(reference=reference, current=current, tolerance=1e-4, n_odd_rows=n_odd_rows)


def _status(parity: Parity) -> ConversionStatus:
    return judge_parity(parity, tolerance=1e-4)[0]


REGRESSORS = [
    Ridge(),
    GradientBoostingRegressor(n_estimators=20, random_state=0),
    HistGradientBoostingRegressor(max_iter=20, random_state=0),
    RandomForestRegressor(10, min_samples_leaf=5, random_state=0),
]
CLASSIFIERS = [
    CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10, random_state=0), cv=2),
    DecisionTreeClassifier(max_depth=6, random_state=0),
    ExtraTreesClassifier(10, max_depth=6, random_state=0),
    HistGradientBoostingClassifier(max_iter=20, random_state=0),
    LogisticRegression(max_iter=300),
    MLPClassifier((8,), max_iter=20, random_state=0),
    RandomForestClassifier(10, min_samples_leaf=5, random_state=0),
    RidgeClassifier(),
]


@pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda each: type(each).__name__)
def test_the_default_preprocessing_and_a_regressor_answer_the_same_with_gaps_and_unknown_text(estimator):
    parity = _parity(_fit(estimator))
    assert _status(parity) is ConversionStatus.KEPT, parity
    assert (parity.n_rows, parity.n_odd_rows) == (3_035, 35)


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("classes", [[0, 1], ["low", "middle", "high"]], ids=["two", "three"])
def test_the_default_preprocessing_and_a_classifier_answer_the_same(estimator, classes):
    parity = _parity(_fit(estimator, classes=classes))
    assert _status(parity) is ConversionStatus.KEPT, parity


def test_booleans_are_labels_too():
    assert _status(_parity(_fit(LogisticRegression(max_iter=300), classes=[False, True]))) is ConversionStatus.KEPT


def test_booleans_with_gaps_and_decimals_are_numbers():
    columns = (Column(name="is_member", type="bool"), Column(name="price", type="decimal128(9, 2)"))
    frame = pd.DataFrame({"is_member": [True, False, None] * 50, "price": [Decimal("1.25"), None, Decimal(3)] * 50})
    model = prepend(default_preprocessor(Ridge(), columns, frame), Ridge()).fit(frame, [1.0, 2.0, 4.0] * 50)
    parity = _parity(model, frame, input_kinds(columns))
    assert _status(parity) is ConversionStatus.KEPT, parity


@pytest.mark.parametrize("estimator", [Ridge(), HistGradientBoostingRegressor(max_iter=10)], ids=["ridge", "trees"])
def test_rare_categories_share_a_code_in_each_of_several_columns(estimator):
    frame = _people(n_cities=400)
    parity = _parity(_fit(estimator, frame), frame)
    assert _status(parity) is ConversionStatus.KEPT, parity


def test_a_gradient_boosting_with_native_categories_converts_without_an_error_and_is_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"shop": rng.integers(0, 30, 4_000), "x": rng.normal(size=4_000)})
    is_good = rng.random(30) < 0.5
    label = np.where(is_good[frame["shop"]] ^ (rng.random(4_000) < 0.1), "good", "bad")
    model = HistGradientBoostingClassifier(categorical_features=["shop"], random_state=0).fit(frame, label)
    kinds = {"shop": "number", "x": "number"}
    parity = _parity(model, frame, kinds)
    status, reasons = judge_parity(parity, tolerance=1e-4)
    assert status is ConversionStatus.REFUSED
    assert parity.n_label_mismatches > parity.n_rows / 10
    assert sentence_of(reasons[0]).startswith(f"Another label in {parity.n_label_mismatches} of {parity.n_rows} rows (")


def test_numbers_too_large_for_single_precision_are_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": 1_700_000_000 + rng.integers(0, 100, 500)})
    model = HistGradientBoostingRegressor(max_iter=5).fit(frame, frame["id"] % 7)
    assert _status(_parity(model, frame, {"id": "number"})) is ConversionStatus.REFUSED


class Doubling(BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Doubling:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return 2 * X


def test_a_part_that_has_no_converter_is_named():
    model = make_pipeline(Doubling(), Ridge()).fit(PEOPLE[["visits"]], PEOPLE["visits"])
    with pytest.raises(ConversionError, match=r"skl2onnx can't convert the model: .*Doubling"):
        onnx_export.to_onnx(model, {"visits": "number"}, name="doubled")


def test_a_model_of_another_library_can_not_be_converted():
    model = XGBRegressor(n_estimators=2).fit(PEOPLE[["visits"]], PEOPLE["visits"])
    with pytest.raises(ConversionError, match=r"skl2onnx can't convert the model: .*XGBRegressor"):
        onnx_export.to_onnx(model, {"visits": "number"}, name="foreign")


def test_a_users_own_words_for_a_missing_text_are_kept():
    fill = SimpleImputer(missing_values=None, strategy="constant", fill_value="who knows")
    encoder = OneHotEncoder(handle_unknown="ignore")
    frame = PEOPLE[["work"]].astype(object).where(PEOPLE[["work"]].notna(), None)
    model = make_pipeline(ColumnTransformer([("work", make_pipeline(fill, encoder), ["work"])]), Ridge())
    assert _status(_parity(model.fit(frame, _target(PEOPLE)), frame, {"work": "text"})) is ConversionStatus.KEPT


def test_encoders_of_numbers_are_left_to_the_library():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(ColumnTransformer([("visits", encoder, ["visits"])]), Ridge())
    model.fit(PEOPLE[["visits"]], _target(PEOPLE))
    graph = onnx_export.to_onnx(model, {"visits": "number"}, name="visits")
    reference = onnx_export.answers_of_model(model, PEOPLE[["visits"]])
    current = onnx_export.answers_of_graph(graph, PEOPLE[["visits"]], {"visits": "number"}, like=reference)
    assert compare_answers(reference=reference, current=current, tolerance=1e-4).n_beyond == 0


def test_rows_that_the_model_itself_refuses_are_not_compared():
    frame = PEOPLE[["visits"]]
    model = Ridge().fit(frame, _target(PEOPLE))
    rows, n_odd_rows = onnx_export.rows_to_compare(model, frame, {"visits": "number"})
    assert (len(rows), n_odd_rows) == (len(frame), 0)
    with pytest.raises(EvaluationError, match=r"The model can't predict the rows: ValueError: Input .* contains NaN"):
        onnx_export.answers_of_model(model, frame.assign(visits=np.nan))


def test_a_graph_that_is_broken_is_an_error_and_no_answer():
    frame = PEOPLE[["visits"]]
    reference = onnx_export.answers_of_model(Ridge().fit(frame, _target(PEOPLE)), frame)
    with pytest.raises(ConversionError, match="onnxruntime can't run the model: "):
        onnx_export.answers_of_graph(b"no graph", frame, {"visits": "number"}, like=reference)


def test_the_same_model_gives_the_same_file_with_an_input_for_each_column():
    model = _fit(LogisticRegression(max_iter=300), classes=[0, 1])
    graph = onnx_export.to_onnx(model, KINDS, name="people")
    assert onnx_export.to_onnx(model, KINDS, name="people") == graph
    parsed = onnx.load_from_string(graph)
    types = {each.name: each.type.tensor_type.elem_type for each in parsed.graph.input}
    kinds = {"number": onnx.TensorProto.FLOAT, "text": onnx.TensorProto.STRING}
    assert types == {name: kinds[kind] for name, kind in KINDS.items()}
