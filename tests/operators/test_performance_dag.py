"""Performance in a real DAG run: the report is behind the button, and what it finds fails nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG

from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.operators import PerformanceCheckOperator
from tests.operators.conftest import House
from tests.steps.performance_cases import Shop


def check_in_a_dag(house: House, dag_id: str, **arguments: Any) -> tuple[str, dict[tuple[str, str], Any]]:
    with DAG(dag_id=dag_id, schedule=None) as dag:
        PerformanceCheckOperator(task_id="check_performance", **arguments)
    ended = house.run(dag)
    return ended.state, ended.xcoms


def test_a_degradation_is_reported_in_a_dag_run_and_a_mistake_fails_it(house: House):
    inbox = house.folder / "inbox"
    inbox.mkdir()
    shop = Shop.open(house.platform, inbox, "shop", target="pays", estimator="sklearn.linear_model.LogisticRegression")
    rows = shop.serve(until=datetime.now(UTC), change=lambda each: each.assign(pays=each["pays"].iloc[::-1].tolist()))
    shop.deliver(rows)
    settings = {
        "labels": {"path": str(inbox / "labels.csv")},
        "label": "label",
        "id": "id",
        "maturity": "P2D",
        "metrics": {"accuracy": {"change_threshold": 0.05}},
    }
    state, xcoms = check_in_a_dag(house, "monitoring", model_name="{{ 'shop' }}", performance=settings)
    assert state == "success"
    report = PerformanceReport.from_dict(xcoms["check_performance", "return_value"])
    assert (report.status, report.model_version) == (PerformanceStatus.DEGRADED, 1)
    link = xcoms["check_performance", "_link_ReportLink"]
    assert link.endswith(report.report_uri)
    assert house.platform.storage.exists(*report.report_uri.split("/"))

    for dag_id, mistake in (
        ("typo", {"performance": settings | {"labl": "label"}}),
        ("canary", {"performance": settings, "model_version": "one"}),
    ):
        state, xcoms = check_in_a_dag(house, dag_id, model_name="shop", **mistake)
        assert state == "failed"
        assert ("check_performance", "return_value") not in xcoms
