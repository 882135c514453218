from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import DatasetSpec
from airflow_mlops.specs.data import FeatureTable

WEATHER = {"name": "weather", "source": {"path": "weather.csv", "timestamp": "measured_at"}, "key": ["place"]}


def _dataset(*tables: Any, **settings: Any) -> DatasetSpec:
    return DatasetSpec.parse({"path": "x", "timestamp": "at", "feature_tables": tables, **settings})


def test_a_table_is_written_as_plain_settings_and_survives_the_way_through_json():
    spec = _dataset({**WEATHER, "max_age": "P2D", "available_after": "PT90M"})
    assert spec.feature_tables[0].max_age == timedelta(days=2)
    assert spec.feature_tables[0].available_after == timedelta(minutes=90)
    assert DatasetSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_columns_are_named_by_the_table_unless_said_otherwise():
    assert FeatureTable.parse(WEATHER).shown_prefix == "weather_"
    assert FeatureTable.parse({**WEATHER, "prefix": ""}).shown_prefix == ""


def test_a_mistake_in_a_table_is_an_error_with_the_path_to_it():
    with pytest.raises(SpecError, match=r"feature_tables\.0\.source\.pth: unknown key\. Did you mean 'path'"):
        _dataset({**WEATHER, "source": {"pth": "weather.csv", "timestamp": "measured_at"}})
    with pytest.raises(SpecError, match=r"feature_tables\.1\.kye: unknown key\. Did you mean 'key'"):
        _dataset(WEATHER, {**WEATHER, "name": "w", "kye": []})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": {"path": "w.csv"}}, "source.timestamp is needed"),
        ({"source": {"path": "w", "timestamp": "t", "since_last_snapshot": True}}, "would leave out what was known"),
        ({"source": {"path": "w", "timestamp": "t", "feature_tables": [WEATHER]}}, "has none of its own"),
        ({"key": ["a", "a"]}, "key: has a name twice"),
        ({"columns": ["a", "a"]}, "columns: has a name twice"),
        ({"columns": []}, "columns: "),
        ({"max_age": "PT0S"}, "max_age: "),
        ({"available_after": "-PT1S"}, "available_after: "),
        ({"max_age": "PT1H", "available_after": "PT2H"}, "max_age is shorter than available_after"),
        ({"name": "my table"}, "name: "),
        ({"name": "../up"}, "name: "),
    ],
)
def test_a_table_that_can_not_be_joined_is_refused(change, words):
    with pytest.raises(SpecError, match=words):
        FeatureTable.parse({**WEATHER, **change})


def test_features_are_joined_as_of_a_moment_which_the_dataset_has_to_name():
    with pytest.raises(SpecError, match="`feature_tables` need `timestamp`"):
        _dataset(WEATHER, timestamp=None)


def test_two_tables_do_not_share_a_name():
    with pytest.raises(SpecError, match="`feature_tables` has a name twice"):
        _dataset(WEATHER, {**WEATHER, "name": "Weather"})


def test_a_table_can_not_have_the_name_that_requests_are_kept_under():
    with pytest.raises(SpecError, match=r"feature_tables\.0\.name: is the name that requests are kept under"):
        _dataset({**WEATHER, "name": "serving"})
