from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import BatchScoringSpec, PredictionSpec, TableOutput


def _spec(**settings: Any) -> PredictionSpec:
    return PredictionSpec(**{"model_name": "bike.demand", "key": "id", **settings})


def test_by_default_the_champion_scores_into_the_storage_and_is_logged():
    spec = _spec()
    assert (spec.model_version, spec.key, spec.output) == (None, ("id",), None)
    assert spec.log is not None


def test_a_spec_survives_the_way_through_json():
    spec = BatchScoringSpec(
        model_name="m",
        model_uri="models:/m/3",
        key=["a", "b"],
        keep="c",
        output={"conn_id": "db", "table": "s.t"},
        log=None,
        data={"path": "/x.csv"},
        validation={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}]},
    )
    assert BatchScoringSpec.parse(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    ("uri", "version"), [(None, None), ("models:/bike.demand@champion", None), ("models:/bike.demand/12", 12)]
)
def test_a_uri_names_the_champion_or_a_version(uri: str | None, version: int | None):
    assert _spec(model_uri=uri).model_version == version


@pytest.mark.parametrize(
    "uri", ["models:/bike.demand@challenger", "models:/other/1", "models:/m-3f", "models:/bikeXdemand/1", "runs:/1/m"]
)
def test_another_uri_is_refused_with_those_that_can_be_written(uri: str):
    with pytest.raises(SpecError, match=r"write models:/bike\.demand@champion or models:/bike\.demand/3"):
        _spec(model_uri=uri)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key": []}, "key: "),
        ({"keep": "id"}, "each of them once"),
        ({"keep": "score"}, r"\['score'\] are the output's own names"),
        ({"chunk_rows": 0}, "chunk_rows: "),
        ({"output": {"conn_id": "db", "table": "a.b.c"}}, r"output\.table: "),
    ],
)
def test_what_can_not_be_is_refused(settings: dict[str, Any], words: str):
    with pytest.raises(SpecError, match=words):
        _spec(**settings)


def test_a_table_may_have_a_schema():
    assert TableOutput(conn_id="db", table="shop.predictions").table == "shop.predictions"


def test_rows_that_a_failed_run_had_taken_would_never_be_scored():
    with pytest.raises(SpecError, match=r"since_last_snapshot: .* set `trailing`"):
        BatchScoringSpec(
            model_name="m", key="id", data={"path": "/x.csv", "timestamp": "at", "since_last_snapshot": True}
        )
