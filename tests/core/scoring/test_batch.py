from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.scoring.batch import check_columns
from airflow_mlops.errors import DataError, NoRowsError
from airflow_mlops.specs import PredictionSpec
from tests.core.value_cases import BATCH

READS = {"age": "long", "city": "string", "at": "datetime", "tags": "Array(string)"}
TYPES = {"id": "int64", "age": "double", "city": "string", "at": "timestamp[us]", "tags": "list<item: string>"}
PREDICTION = PredictionSpec(model_name="m", key="id")


def _snapshot(n_rows: int = 9, n_null: int = 0, **types: str | None) -> DatasetSnapshot:
    known = {name: kind for name, kind in (TYPES | types).items() if kind}
    return DatasetSnapshot(
        dataset="d",
        uri="/s",
        digest="sha256:1",
        n_rows=n_rows,
        columns=tuple(Column(name=name, type=kind, n_null=n_null) for name, kind in known.items()),
        source={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="ada",
    )


def test_columns_that_nothing_is_done_with_are_told():
    assert check_columns(READS, _snapshot(more="int64"), PREDICTION) == ("more",)


@pytest.mark.parametrize("kind", ["int8", "uint64", "float", "double", "decimal128(9, 2)", "bool"])
def test_a_number_may_be_of_any_width(kind: str):
    assert check_columns(READS, _snapshot(age=kind), PREDICTION) == ()


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"age": "string"}, "column 'age' holds text (string); the model reads numbers (long)."),
        ({"city": "int64"}, "column 'city' holds numbers (int64); the model reads text (string)."),
        ({"at": "string"}, "column 'at' holds text (string); the model reads times (datetime)."),
        ({"age": "list<item: int64>"}, "column 'age' holds list<item: int64>"),
        ({"age": None, "ages": "int64"}, "column 'age' is missing. Did you mean 'ages'?"),
        ({"id": "list<item: int64>"}, "key column 'id' is list<item: int64>; numbers, text or times"),
    ],
)
def test_what_does_not_fit_is_told_with_what_is_read(types: dict[str, Any], words: str):
    with pytest.raises(DataError) as caught:
        check_columns(READS, _snapshot(**types), PREDICTION)
    assert words in str(caught.value)
    assert "Nothing was scored or written." in str(caught.value)


def test_a_column_without_a_value_has_no_type_but_a_key_must_have_values():
    reads_no_key = PREDICTION.model_copy(update={"key": ()})
    assert check_columns(READS, _snapshot(n_rows=3, n_null=3, age="null"), reads_no_key) == ("id",)
    with pytest.raises(DataError, match="key column 'id' is null in 3 of 3 rows"):
        check_columns(READS, _snapshot(n_rows=3, n_null=3), PREDICTION)


def test_no_row_is_no_pass():
    with pytest.raises(NoRowsError, match=r"has no row to score\. Nothing was written"):
        check_columns(READS, _snapshot(n_rows=0), PREDICTION)


def test_the_rows_of_a_batch_are_beside_what_is_known_of_them():
    assert BATCH.data_uri == "/store/batch/data.parquet"
