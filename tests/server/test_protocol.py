"""The same requests, good and bad, to MLflow's scoring server and to ours."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from airflow_mlops.adapters import scoring_server
from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.specs import ServingCheckSpec
from airflow_mlops.steps import Platform
from tests.server.cases import Stage, add_version, request

pytestmark = pytest.mark.standalone

FRAME = pd.DataFrame(
    {"age": [30, 41, 52], "income": [1.5, 2.5, 0.1], "kind": ["a", "b", "a"], "is_new": [True, False, True]}
)
JSON = "application/json"


def split(frame: pd.DataFrame, **more: Any) -> bytes:
    return json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False), **more}).encode()


def as_json(**document: Any) -> bytes:
    return json.dumps(document).encode()


def as_parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


RECORDS = FRAME.to_dict(orient="records")
REQUESTS: dict[str, tuple[str, bytes]] = {
    "split": (JSON, split(FRAME)),
    "one row": (JSON, split(FRAME.head(1))),
    "no row": (JSON, split(FRAME.head(0))),
    "records": (JSON, as_json(dataframe_records=RECORDS)),
    "instances": (JSON, as_json(instances=RECORDS)),
    "inputs": (JSON, as_json(inputs=FRAME.to_dict(orient="list"))),
    "inputs of rows": (JSON, as_json(inputs=RECORDS)),
    "csv": ("text/csv", FRAME.to_csv(index=False).encode()),
    "parquet": ("application/vnd.apache.parquet", as_parquet(FRAME)),
    "charset": (f"{JSON}; charset=utf-8", split(FRAME)),
    "params": (JSON, split(FRAME, params={"a": 1})),
    "reordered": (JSON, split(FRAME[FRAME.columns[::-1]])),
    "extra column": (JSON, split(FRAME.assign(more=1))),
    "unknown category": (JSON, split(FRAME.assign(kind="\N{SNOWMAN}"))),
    "integer as text": (JSON, split(FRAME.assign(age="31"))),
    "null": (JSON, as_json(dataframe_records=[{**RECORDS[0], "income": None}])),
    "NaN": (JSON, split(FRAME.assign(income=float("nan")))),
    "missing column": (JSON, split(FRAME.drop(columns="age"))),
    "wrong type": (JSON, split(FRAME.assign(income="many"))),
    "fraction in an integer": (JSON, split(FRAME.assign(age=30.5))),
    "two forms": (JSON, as_json(instances=RECORDS, inputs=RECORDS)),
    "no form": (JSON, as_json(rows=RECORDS)),
    "messages": (JSON, as_json(messages=[{"role": "user", "content": "hello"}])),
    "rows of unlike length": (JSON, as_json(dataframe_split={"columns": ["age"], "data": [[1, 2]]})),
    "broken JSON": (JSON, split(FRAME)[:-2]),
    "list": (JSON, b"[]"),
    "text": (JSON, b'"hello"'),
    "empty": (JSON, b""),
    "no UTF-8": (JSON, b"\xff"),
    "no UTF-8 in CSV": ("text/csv", b"\xff"),
    "empty CSV": ("text/csv", b""),
    "CSV of a wrong type": ("text/csv", FRAME.assign(age="many").to_csv(index=False).encode()),
    "broken parquet": ("application/vnd.apache.parquet", b"PAR1"),
    "unknown content type": ("text/plain", split(FRAME)),
    "other charset": (f"{JSON}; charset=latin-1", split(FRAME)),
    "unknown parameter": (f"{JSON}; format=pandas-split", split(FRAME)),
}
METHODS = ("GET", "PUT", "DELETE")


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[tuple[str, str]]:
    """MLflow's server and ours, of the same files."""
    folder = tmp_path_factory.mktemp("protocol")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    before = Path.cwd()
    os.chdir(folder)
    try:
        platform = Platform(Storage(str(folder / "storage")), Mlflow(f"sqlite:///{folder}/mlflow.db"))
        encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough")
        version = add_version(platform, "served", make_pipeline(encoder, Ridge()), FRAME)
    finally:
        os.chdir(before)
    stage = Stage(platform)
    stage.deploy()
    with (
        platform.mlflow.downloaded("models:/served/1", version.model_digest) as files,
        scoring_server.serving(files, ServingCheckSpec(), folder=folder) as theirs,
        stage.serving() as ours,
    ):
        yield theirs._url, ours.url


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_answered_as_mlflow_answers_it(urls: tuple[str, str], name: str):
    content_type, body = REQUESTS[name]
    theirs, ours = (request(url, body, headers={"Content-Type": content_type}) for url in urls)
    assert (ours.status, ours.headers["content-type"]) == (theirs.status, theirs.headers["content-type"])
    assert _without_stack(ours.body) == _without_stack(theirs.body)
    assert b"Traceback" not in ours.body


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_refused_as_mlflow_refuses_it(urls: tuple[str, str], method: str):
    theirs, ours = (request(url, method=method) for url in urls)
    assert (ours.status, ours.body, ours.headers["allow"]) == (theirs.status, theirs.body, theirs.headers["allow"])
    assert [request(url, path="/ping").body for url in urls] == [b"\n", b"\n"]


def test_the_requests_are_good_ones_and_bad_ones(urls: tuple[str, str]):
    statuses = [
        request(urls[1], body, headers={"Content-Type": content_type}).status
        for content_type, body in REQUESTS.values()
    ]
    assert statuses.count(200) > 10
    assert {200, 400, 415} <= set(statuses)


def _without_stack(body: bytes) -> Any:
    """Return an error without the paths of its server, and anything else as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if isinstance(document, dict):
        document.pop("stack_trace", None)
        message = document.get("message", "")  # it has sets in it, whose order is each process's own
        document["message"] = re.sub(r"\{.*?\}", lambda found: str(sorted(found[0][1:-1].split(", "))), message)
    return document
