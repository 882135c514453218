"""The plugin's pages, as they are mounted in Airflow's own API server."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.registry.journal import PromotionRecord
from airflow_mlops.core.retraining.alert import MonitoringDecision
from airflow_mlops.core.retraining.decision import CheckEvidence
from airflow_mlops.plugin.app import create_app
from airflow_mlops.steps.registry.ledger import append_decision
from tests.core.cases import recorded

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ROUTES = [route.path for route in create_app().routes]


@pytest.fixture(scope="module")
def client(airflow_db: None) -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from fastapi.testclient import TestClient

    passwords = Path(os.environ["AIRFLOW_HOME"]) / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({"admin": "admin", "viewer": "viewer"}))
    purge_cached_app()
    with TestClient(create_app(apps="core"), base_url="http://testserver") as client:
        yield client
    purge_cached_app()


@pytest.fixture(scope="module")
def viewer(client: TestClient) -> dict[str, str]:
    answer = client.post("/auth/token", json={"username": "viewer", "password": "viewer"})
    client.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A storage with a report, a journal, and pages where nobody may look."""
    monkeypatch.setenv("AIRFLOW__MLOPS__STORAGE_ROOT", str(tmp_path / "storage"))
    storage = Storage(str(tmp_path / "storage"))
    storage.write_text("<h1>drifted</h1>", "reports", "co2", "run 1", "drift.html")
    storage.write_json({}, "reports", "co2", "run 1", "drift.json")
    storage.write_text("<h1>not a report</h1>", "snapshots", "page.html")
    (tmp_path / "secret.html").write_text("<h1>secret</h1>")
    record = PromotionRecord(
        sequence=1,
        action="promote",
        model_name="co2",
        from_version=None,
        to_version=1,
        reason="<script>alert(1)</script>",
        actor="ada",
        run_id="run 1",
        at=datetime(2026, 1, 31, tzinfo=UTC),
        key="k",
    )
    assert storage.log("journals", "co2").append(record.to_dict(), number=1)
    return storage


def _fill(route: str) -> str:
    return "/mlops" + route.replace("{path:path}", "co2/run 1/drift.html").replace("{model_name}", "co2")


def test_there_are_routes_to_ask():
    assert set(ROUTES) == {"/reports/{path:path}", "/models", "/models/{model_name}"}


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_answers_without_a_login(client: TestClient, storage: Storage, route: str):
    assert client.get(_fill(route)).status_code == 401


@pytest.mark.parametrize("route", ROUTES)
def test_a_token_that_nobody_issued_is_refused(client: TestClient, storage: Storage, route: str):
    answer = client.get(_fill(route), headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code in (401, 403)


@pytest.mark.parametrize("route", ROUTES)
def test_a_viewer_may_look_at_every_page(client: TestClient, viewer: dict[str, str], storage: Storage, route: str):
    answer = client.get(_fill(route), headers=viewer)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("route", ROUTES)
def test_no_page_may_run_scripts_but_a_report_in_its_sandbox(
    client: TestClient, viewer: dict[str, str], storage: Storage, route: str
):
    headers = client.get(_fill(route), headers=viewer).headers
    policy = headers["content-security-policy"]
    if route.startswith("/reports"):
        assert policy.startswith("sandbox allow-scripts; default-src 'none';")
        assert "allow-same-origin" not in policy
    else:
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", ""])
def test_there_is_nothing_beside_the_routes(client: TestClient, viewer: dict[str, str], storage: Storage, path: str):
    assert client.get(f"/mlops/{path}", headers=viewer).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_can_be_changed_by_a_page(
    client: TestClient, viewer: dict[str, str], storage: Storage, route: str, method: str
):
    assert client.request(method, _fill(route), headers=viewer).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "%2e%2e/%2e%2e/secret.html",
        "..%2f..%2fsecret.html",
        "co2/%2e%2e/%2e%2e/%2e%2e/secret.html",
        "%2e%2e/snapshots/page.html",
        "..%2fsnapshots%2fpage.html",
        "co2%2f..%2f..%2fsnapshots%2fpage.html",
        "%2fetc%2fpasswd",
        "/etc/hostname.html",
        "co2/run 1/drift.json",
        "co2/run 1",
        "co2/run 1/nothing.html",
        "co2%00/drift.html",
    ],
)
def test_a_path_that_leads_elsewhere_or_to_no_page_is_not_found(
    client: TestClient, viewer: dict[str, str], storage: Storage, path: str
):
    answer = client.get(f"/mlops/reports/{path}", headers=viewer)
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "not a report" not in answer.text


@pytest.mark.parametrize("name", ["nobody", "%2e%2e", "..%2freports", "co2.html"])
def test_a_model_without_a_journal_is_not_found(
    client: TestClient, viewer: dict[str, str], storage: Storage, name: str
):
    assert client.get(f"/mlops/models/{name}", headers=viewer).status_code == 404


def test_a_journal_is_shown_and_what_people_wrote_in_it_is_only_text(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    for path in ("models", "models/co2"):
        text = client.get(f"/mlops/{path}", headers=viewer).text
        assert "v1" in text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_journal_that_was_changed_is_said_to_be_and_not_shown(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    entry = storage.log("journals", "co2").entries()[0] | {"model_name": "healthy"}
    storage.log("journals", "healthy").append(entry, number=1)
    storage.path("journals", "co2", "000001.json").write_text("{}")
    answer = client.get("/mlops/models/co2", headers=viewer)
    assert answer.status_code == 409
    assert "PromotionRecord" in answer.json()["detail"]
    page = client.get("/mlops/models", headers=viewer)
    assert page.status_code == 200
    damaged, healthy = re.findall(r"<tr><td .*?</tr>", re.sub(r">\s+<", "><", page.text))
    assert "damaged" in damaged
    assert "PromotionRecord" in damaged
    assert ">v1<" in healthy


def test_the_newest_decisions_stand_below_the_journal_each_with_the_page_that_it_was_made_on(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    alert = MonitoringDecision(
        model_name="co2",
        champion_version=1,
        kinds=("drift",),
        reasons=recorded("<b>DRIFTED</b> in 2 of 3."),
        evidence=(
            CheckEvidence(kind="drift", state="DRIFTED", report_uri="reports/co2/run 1/drift.html"),
            CheckEvidence(kind="performance", state="OK", report_uri="reports/x"),
        ),
        run_id="look 1",
        at=datetime(2026, 2, 1, tzinfo=UTC),
    )
    append_decision(alert, storage=storage)
    text = client.get("/mlops/models/co2", headers=viewer).text
    assert "&lt;b&gt;DRIFTED&lt;/b&gt; in 2 of 3." in text
    (link,) = re.findall(r'href="(\.\./reports[^"]*)"', text)
    page = client.get(f"/mlops/models/{link}", headers=viewer)
    assert page.text == "<h1>drifted</h1>"

    storage.path("decisions", "co2", "000001.json").write_text("{}")
    answer = client.get("/mlops/models/co2", headers=viewer)
    assert answer.status_code == 200
    assert "damaged" in answer.text
    assert "v1" in answer.text


def test_a_journal_in_which_nothing_was_written_yet_spoils_no_page(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    storage.path("journals", "new").mkdir()
    page = client.get("/mlops/models", headers=viewer)
    assert page.status_code == 200
    assert "co2" in page.text
    assert client.get("/mlops/models/new", headers=viewer).status_code == 404


def test_a_model_whose_name_can_be_no_folder_has_its_journal_shown_too(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    entry = storage.log("journals", "co2").entries()[0] | {"model_name": "churn eu"}
    assert storage.log("journals", "churn_eu").append(entry, number=1)
    for path in ("models", "models/churn_eu"):
        assert client.get(f"/mlops/{path}", headers=viewer).status_code == 200


def test_a_model_without_a_champion_is_listed_with_its_last_decision_and_has_a_page(
    client: TestClient, viewer: dict[str, str], storage: Storage
):
    waiting = MonitoringDecision(
        model_name="young",
        champion_version=None,
        kinds=(),
        reasons=recorded("There is no champion.", "x moved."),
        run_id="look 1",
        at=datetime(2026, 2, 1, tzinfo=UTC),
    )
    append_decision(waiting, storage=storage)
    for path in ("models", "models/young"):
        text = client.get(f"/mlops/{path}", headers=viewer).text
        assert "<ul><li>There is no champion.</li><li>x moved.</li></ul>" in text
    page = client.get("/mlops/models", headers=viewer).text
    assert '<a href="models/young">young</a></td><td class="short">none</td>' in page
