from __future__ import annotations

from typing import Any

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import PerformanceSpec

LEAST: dict[str, Any] = {
    "labels": {"path": "labels.csv"},
    "label": "y",
    "id": "id",
    "maturity": "P7D",
    "metrics": {"accuracy": {}},
}
TIMED = {"labels": {"path": "labels.csv", "timestamp": "at"}}


def test_the_least_that_is_said_is_where_the_labels_are_how_long_they_take_and_what_counts():
    spec = PerformanceSpec.parse(LEAST)
    assert (spec.window.days, spec.windows.n, spec.windows.of, spec.min_rows, spec.min_coverage) == (7, 2, 3, 200, 0.8)
    assert PerformanceSpec.parse(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": None}, "say how a label finds its prediction: by `id`, or by `entity`"),
        ({"entity": ["a"], "tolerance": "P1D", **TIMED}, "say how a label finds its prediction"),
        ({"id": None, "entity": ["a"]}, "`entity` needs `tolerance`"),
        ({"tolerance": "P1D"}, r"`tolerance` needs `labels\.timestamp`"),
        ({"labels": TIMED["labels"] | {"since_last_snapshot": True}}, "leave out `since_last_snapshot`"),
        ({"labels": {"path": "x", "features": "SELECT 1"}}, "leave out `since_last_snapshot`, `features`"),
        ({"maturity": 7}, "maturity: write a duration as P30D or PT6H"),
        ({"maturity": "P1M"}, "months and years differ in length"),
        ({"window": "PT36H"}, "a window is of whole days"),
        ({"windows": {"n": 4, "of": 3}}, "4 of 3 windows can never be worse"),
        ({"metrics": {"acuracy": {}}}, "there is no metric 'acuracy'. Did you mean 'accuracy'"),
        ({"metrics": {"accuracy": {}, "r2": {}}}, "r2 is of numbers and accuracy of classes"),
        (
            {"metrics": {"accuracy": {"relative_change_threshold": -1}}},
            "accuracy.relative_change_threshold -1: a model",
        ),
        ({"metrics": {"accuracy": {"change_threshold": -0.1}}}, "would count as worse; give 0 or more"),
        ({"metrics": {}}, "metrics: "),
        ({"slices": {"columns": []}}, r"slices\.columns: "),
        ({"min_coverage": 0}, "min_coverage: "),
    ],
)
def test_what_can_not_be_used_is_named(changes: dict[str, Any], words: str):
    with pytest.raises(SpecError, match=words):
        PerformanceSpec.parse(LEAST | changes)


def test_the_columns_of_the_labels_are_those_that_are_named():
    assert PerformanceSpec.parse(LEAST | {"known_at": "known"}).label_columns == ("y", "id", "known")
    timed = {"id": None, "entity": ["a", "b"], "tolerance": "P1D", **TIMED}
    assert PerformanceSpec.parse(LEAST | timed).label_columns == ("y", "a", "b", "at")


def test_blocks_need_ten_of_them_in_the_smallest_window():
    assert PerformanceSpec.parse({**LEAST, "block_length": 24, "min_rows": 240}).block_length == 24
    with pytest.raises(
        SpecError, match="`block_length` 24 needs `min_rows` of at least 240, ten blocks; min_rows is 200"
    ):
        PerformanceSpec.parse({**LEAST, "block_length": 24})
