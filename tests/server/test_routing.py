"""Who answers which rows, and what the log says of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from airflow_mlops.core.rollout.deployment import Deployment, DeploymentMode, challenger_rows
from airflow_mlops.specs import InferenceLogSpec
from tests.server.cases import Stage, body_of, request
from tests.server.models import TOUCHY

ROWS = pd.DataFrame({"x": np.arange(200.0), "id": [f"customer {number}" for number in range(200)]})


def expected(share: float, ids: list[str], salt: str = "") -> list[float]:
    deployment = Deployment(
        model_name="m", challenger_version=2, share=share, salt=salt, since=datetime.now(UTC), key=""
    )
    return [2.0 if is_chosen else 1.0 for is_chosen in challenger_rows(deployment, ids)]


def test_the_champion_alone_answers_and_every_row_is_logged(stage: Stage):
    with stage.serving() as server:
        answer = request(server.url, body_of(ROWS[["x"]].head(2)), headers={"X-Request-Id": "r1"})
    assert answer.predictions == [1.0, 1.0]
    assert (answer.headers["x-mlops-model-version"], answer.headers["x-request-id"]) == ("1", "r1")
    logged = stage.logged()
    assert logged["mlops_id"].tolist() == ["r1-0", "r1-1"]
    assert logged["mlops_prediction"].tolist() == [1.0, 1.0]
    assert logged["x"].tolist() == [0.0, 1.0]
    assert logged["mlops_role"].unique().tolist() == ["champion"]
    digest = stage.platform.mlflow.get_version("served", 1).model_digest
    assert logged["mlops_model_digest"].unique().tolist() == [digest]
    assert (logged["mlops_latency_ms"] > 0).all()


@pytest.mark.parametrize("form", ["split", "records", "instances", "inputs", "csv"])
def test_a_canary_answers_its_share_of_the_ids_in_order_whatever_the_form(stage: Stage, form: str):
    stage.canary(0.3)
    body, content_type = body_of(ROWS), "application/json"
    if form == "records":
        body = json.dumps({"dataframe_records": ROWS.to_dict(orient="records")}).encode()
    elif form == "instances":
        body = json.dumps({"instances": ROWS.to_dict(orient="records")}).encode()
    elif form == "inputs":
        body = json.dumps({"inputs": ROWS.to_dict(orient="list")}).encode()
    elif form == "csv":
        body, content_type = ROWS.to_csv(index=False).encode(), "text/csv"
    with stage.serving(id_column="id") as server:
        answer = request(server.url, body, headers={"Content-Type": content_type})
    wanted = expected(0.3, ROWS["id"].tolist())
    assert answer.predictions == wanted
    assert 0.2 < np.mean(np.array(wanted) == 2) < 0.4
    assert answer.headers["x-mlops-model-version"] == "1,2"
    logged = stage.logged().set_index("mlops_id").loc[ROWS["id"]]
    assert logged["mlops_prediction"].tolist() == wanted
    assert logged["mlops_model_version"].tolist() == wanted
    assert set(logged["mlops_role"]) == {"champion", "canary"}
    assert logged["x"].tolist() == ROWS["x"].tolist()
    assert "id" not in logged


def test_an_id_is_answered_by_the_same_version_after_a_restart_and_another_salt_draws_others(stage: Stage):
    stage.canary(0.5)
    with stage.serving(id_column="id") as server:
        first = request(server.url, body_of(ROWS)).predictions
    with stage.serving(id_column="id") as server:
        assert [request(server.url, body_of(ROWS.iloc[[n]])).predictions[0] for n in range(20)] == first[:20]
        stage.canary(0.5, salt="spring")
        server.watcher.look()
        again = request(server.url, body_of(ROWS)).predictions
    assert again == expected(0.5, ROWS["id"].tolist(), "spring") != first


def test_without_a_column_the_request_is_the_id(stage: Stage):
    stage.canary(0.5)
    names = [f"r{number}" for number in range(12)]
    with stage.serving() as server:
        answers = [request(server.url, body_of(ROWS.head(3)), headers={"X-Request-Id": name}) for name in names]
    assert [answer.predictions for answer in answers] == [[number] * 3 for number in expected(0.5, names)]
    assert {answer.headers["x-mlops-model-version"] for answer in answers} == {"1", "2"}


def test_a_row_without_an_id_is_its_requests(stage: Stage):
    with stage.serving(id_column="id") as server:
        body = json.dumps({"dataframe_records": [{"x": 1, "id": 7}, {"x": 2, "id": None}]}).encode()
        request(server.url, body, headers={"X-Request-Id": "r1"})
    assert stage.logged()["mlops_id"].tolist() == ["7", "r1-1"]


def test_a_request_id_that_is_none_is_replaced(stage: Stage):
    with stage.serving() as server:
        given = request(server.url, body_of(ROWS.head(1)), headers={"X-Request-Id": "a b"}).headers["x-request-id"]
        assert len(given) == 32
        assert (
            len(request(server.url, body_of(ROWS.head(1)), headers={"X-Request-Id": "a" * 129}).headers["x-request-id"])
            == 32
        )


def test_a_shadow_is_asked_and_logged_and_never_answers(stage: Stage):
    stage.deploy(challenger_version=2, mode=DeploymentMode.SHADOW, share=0.5)
    with stage.serving(id_column="id") as server:
        answers = [request(server.url, body_of(ROWS.iloc[[number]])) for number in range(40)]
    assert {answer.predictions[0] for answer in answers} == {1.0}
    assert {answer.headers["x-mlops-model-version"] for answer in answers} == {"1"}
    logged = stage.logged()
    shadow = logged[logged["mlops_role"] == "shadow"]
    asked = ROWS["id"][:40][np.array(expected(0.5, ROWS["id"].tolist()[:40])) == 2.0]
    assert sorted(shadow["mlops_id"]) == sorted(asked)
    assert set(shadow["mlops_prediction"]) == {2.0}
    assert (logged["mlops_role"] == "champion").sum() == 40


def test_a_canary_that_fails_is_logged_and_the_champion_answers_in_its_place(stage: Stage):
    stage.canary(1.0, challenger_version=TOUCHY)
    with stage.serving() as server:
        assert request(server.url, body_of(ROWS[["x"]].head(2))).predictions == [0.0, 1000.0]
        answer = request(server.url, body_of(-ROWS[["x"]].iloc[[3]]))
        assert answer.predictions == [1.0]
        assert answer.headers["x-mlops-model-version"] == "1"
        metrics = request(server.url, path="/metrics").body.decode()
    assert f'mlops_failed_rows_total{{role="canary",version="{TOUCHY}"}} 1.0' in metrics
    failed = stage.logged().query("x == -3").set_index("mlops_role")
    assert failed.loc["canary", "mlops_error"] == "ZeroDivisionError"
    assert failed.loc["champion", "mlops_prediction"] == 1.0


def test_a_champion_that_fails_is_an_error_and_is_logged(stage: Stage):
    stage.deploy(champion_version=TOUCHY)
    with stage.serving() as server:
        answer = request(server.url, body_of(-ROWS[["x"]].iloc[[3]]))
    assert answer.status == 400
    assert b"s3cret" not in answer.body
    logged = stage.logged()
    assert logged["mlops_error"].tolist() == ["ZeroDivisionError"]
    assert logged["mlops_prediction"].isna().all()


def test_a_shadow_that_fails_is_logged_and_nobody_notices(stage: Stage):
    stage.deploy(challenger_version=TOUCHY)
    with stage.serving() as server:
        assert request(server.url, body_of(-ROWS[["x"]].iloc[[3]])).predictions == [1.0]
    logged = stage.logged().set_index("mlops_role")
    assert logged.loc["shadow", ["mlops_error", "x"]].tolist() == ["ZeroDivisionError", -3.0]
    assert logged.loc["champion", "mlops_prediction"] == 1.0


def test_a_sample_of_the_requests_is_logged_and_redacted_columns_are_not(stage: Stage):
    log = InferenceLogSpec(sample_fraction=0.3, redact=("x",))
    with stage.serving(log=log) as server:
        for number in range(100):
            request(server.url, body_of(ROWS[["x"]].iloc[[number]]), headers={"X-Request-Id": f"r{number}"})
    logged = stage.logged()
    assert 15 < len(logged) < 45
    assert logged["x"].isna().all()


def test_nothing_is_logged_where_nothing_is_to_be(stage: Stage):
    with stage.serving(log=None) as server:
        assert request(server.url, body_of(ROWS.head(1))).predictions == [1.0]
    assert not stage.platform.storage.path("inference").exists()
