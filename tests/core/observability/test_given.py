from __future__ import annotations

import pytest

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.observability.given import read_given
from airflow_mlops.errors import IntegrityError
from tests.core.value_cases import MODEL, SNAPSHOT


def test_data_and_models_are_read_from_documents_and_the_rest_is_left():
    documents = [SNAPSHOT.to_dict(), MODEL, {"kind": "DriftReport"}, {"target": "y"}, "text", None, 3]
    assert read_given(documents) == [SNAPSHOT, MODEL]


def test_a_damaged_document_is_an_error():
    with pytest.raises(IntegrityError, match="DatasetSnapshot: the document is damaged"):
        read_given([{"kind": DatasetSnapshot.__name__, "schema_version": 1}])
