from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_mlops.core.data.snapshot import Column
from airflow_mlops.core.observability.dataset_lineage import LineageDataset, lineage_of
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.splitting.split import DatasetPart, DatasetSplit, SplitRecipe
from airflow_mlops.core.values import Value
from airflow_mlops.specs import SplitSpec
from tests.core.value_cases import (
    BATCH,
    BLESSING,
    DECISION,
    DRIFT,
    EVALUATION,
    MODEL,
    PERFORMANCE,
    PROMOTION,
    SNAPSHOT,
    VALIDATION,
)

COLUMNS = (Column(name="x", type="double"),)
PARTS = {
    name: DatasetPart(uri=f"/store/splits/co2/1/{name}.parquet", digest=f"sha256:{name}", n_rows=9)
    for name in ("train", "validation", "test")
}
SPLIT = DatasetSplit(
    snapshot_digest="sha256:1",
    method="random",
    cut=None,
    columns=COLUMNS,
    timestamp=None,
    recipe=SplitRecipe(dataset="co2", snapshot_uri="/store/snapshots/co2/1", features=None, split=SplitSpec()),
    **PARTS,
)
VERSION = ModelVersion(
    model_name="co2",
    model_version=3,
    model_digest="sha256:m",
    run_id="9f",
    snapshot_digest="sha256:1",
    evidence_digest="sha256:e",
)
REST = dataclasses.replace(SNAPSHOT, digest="sha256:rest", source={"path": "/in", "rest_of": "sha256:1"})

TRAIN, TUNED_ON, TEST = (f"mlops co2/split/{name}" for name in PARTS)
CHALLENGER, REGISTERED, CHAMPION = "mlmodel co2/challenger", "mlmodel co2/registered", "mlmodel co2"


def names(datasets: tuple[LineageDataset, ...]) -> list[str]:
    return [f"{each.namespace} {each.name}" for each in datasets]


def source(**settings: Any) -> list[str]:
    snapshot = dataclasses.replace(SNAPSHOT, source=settings)
    return names(lineage_of(snapshot).inputs)


@pytest.mark.parametrize(
    ("value", "given", "read", "written"),
    [
        (SNAPSHOT, [], [], ["mlops co2/snapshot"]),
        (VALIDATION, [SNAPSHOT], ["mlops co2/snapshot"], []),
        (
            dataclasses.replace(VALIDATION, accepted=REST),
            [SNAPSHOT],
            ["mlops co2/snapshot"],
            ["mlops co2/accepted", "mlops co2/quarantine"],
        ),
        (SPLIT, [REST], ["mlops co2/accepted"], [TRAIN, TUNED_ON, TEST]),
        (DRIFT, [SNAPSHOT], ["mlops co2/snapshot"], []),
        (dataclasses.replace(DRIFT, champion_version=2), [], [CHAMPION], []),
        (PERFORMANCE, [], [CHAMPION], []),
        (DECISION, [SPLIT], [TRAIN, TUNED_ON, TEST], []),
        (MODEL, [SPLIT], [TRAIN, TUNED_ON], [CHALLENGER]),
        (EVALUATION, [MODEL, SPLIT], [CHALLENGER, TRAIN, TUNED_ON, TEST], []),
        (BLESSING, [MODEL], [CHALLENGER], []),
        (VERSION, [MODEL], [CHALLENGER], [REGISTERED]),
        (PROMOTION, [VERSION], [REGISTERED], [CHAMPION]),
        (dataclasses.replace(PROMOTION, action="mark_unhealthy"), [], [], []),
        (BATCH, [SNAPSHOT], ["mlops co2/snapshot", CHAMPION], ["mlops co2/predictions"]),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Value) else None,
)
def test_a_step_reads_what_it_was_given_and_writes_what_came_of_it(
    value: Value, given: list[Value], read: list[str], written: list[str]
):
    found = lineage_of(value, given=given)
    assert (names(found.inputs), names(found.outputs)) == (read, written)


def test_the_version_says_which_one_it_was():
    found = [*lineage_of(MODEL, given=[SPLIT]).inputs, *lineage_of(PROMOTION, given=[VERSION]).outputs]
    assert [each.version for each in found] == ["sha256:train", "sha256:validation", "3"]
    assert [each.uri for each in found][1:] == ["/store/splits/co2/1/validation.parquet", "models:/co2/3"]
    assert (found[0].n_rows, found[0].columns) == (9, COLUMNS)


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("/in/co2.csv", "file /in/co2.csv"),
        ("/in/day=*/x.parquet", "file /in"),
        ("s3://lake/raw/co2/*.csv", "s3://lake raw/co2"),
        ("s3://lake/*.csv", "s3://lake /"),
        ("s3://lake", "s3://lake /"),
    ],
)
def test_files_come_from_the_place_above_their_first_wildcard(path: str, dataset: str):
    assert source(path=path, n_files=1, files=[]) == [dataset]


def test_a_query_is_left_to_a_parser_and_a_function_has_no_name():
    found = lineage_of(dataclasses.replace(SNAPSHOT, source={"query": "SELECT 1", "conn_id": "w"}))
    assert (found.query, found.conn_id, found.inputs) == ("SELECT 1", "w", ())
    assert source(function="my.rows", params=[]) == []


def test_a_split_from_before_recipes_is_of_no_dataset_that_anybody_knows():
    assert lineage_of(dataclasses.replace(SPLIT, recipe=None)).outputs == ()


def test_a_models_name_is_that_of_its_asset():
    assert names(lineage_of(dataclasses.replace(PROMOTION, model_name="Churn EU")).outputs) == ["mlmodel Churn%20EU"]
