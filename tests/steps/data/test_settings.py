from __future__ import annotations

import pytest

from airflow_mlops.errors import DataError, UnavailableError
from airflow_mlops.steps.data.settings import settings_at


def test_settings_are_named_by_where_they_stand_and_the_rest_of_the_message_stays():
    text = (
        "No file at '/lake/data.path' or 'data.path' in data.parquet. Fix data.path, or let data.conn_id's user read."
    )
    with pytest.raises(DataError) as caught, settings_at("labels."):
        raise DataError(text)
    assert str(caught.value) == (
        "No file at '/lake/data.path' or 'data.path' in data.parquet. Fix labels.path, or let labels.conn_id's user "
        "read."
    )


def test_only_the_settings_that_stand_there_are_renamed():
    with (
        pytest.raises(UnavailableError, match=r"^Fix output\.conn_id, or data\.athena\.$"),
        settings_at("output.", "conn_id"),
    ):
        raise UnavailableError("Fix data.conn_id, or data.athena.")
