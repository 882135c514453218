"""Drift in a DAG: a check of the inference log, and a sensor that waits for what has drifted."""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_mlops.operators import DriftCheckOperator
from airflow_mlops.sensors import DriftSensor
from tests.conftest import REPOSITORY
from tests.operators.conftest import House
from tests.steps.cases import Bench
from tests.steps.drift_cases import Log, asked


@pytest.fixture
def log(bench: Bench) -> Log:
    """Version 1 is champion, and has been asked nothing yet."""
    assert bench.run("first").promotion is not None
    return Log(bench)


def answer(log: Log, shift: float = 0.0, n_rows: int = 300) -> None:
    rows = asked(n_rows, shift)
    log.write(rows, 2 * rows["x"], at=datetime.now(UTC) - timedelta(seconds=1))


def test_a_check_without_a_snapshot_looks_at_the_log_and_leaves_a_report_and_a_page(house: House, log: Log):
    answer(log, shift=2.0)
    with DAG(dag_id="watch", schedule=None) as dag:
        DriftCheckOperator(task_id="check", model_name="small")
        DriftCheckOperator(task_id="earlier", model_name="small", window_end="2020-01-01T00:00:00")
    ended = house.run(dag)
    assert ended.state == "success"
    report = ended.result("check")
    assert (report["kind"], report["status"], report["n_current"]) == ("DriftReport", "DRIFTED", 300)
    assert ended.xcoms["check", "_link_ReportLink"].endswith("drift.html")
    earlier = ended.result("earlier")
    assert (earlier["status"], earlier["window_end"]) == ("TOO_FEW_ROWS", "2020-01-01T00:00:00Z")
    names = house.platform.storage.names("reports", "watch")
    assert len(names) == 1


def test_a_window_that_ends_at_no_moment_fails_for_good(house: House, log: Log):
    with DAG(dag_id="watch", schedule=None) as dag:
        DriftCheckOperator(task_id="check", model_name="small", window_end="yesterday", retries=2)
    ended = house.run(dag)
    assert (ended.state, ended.tries) == ("failed", {"check": 1})


def test_the_sensor_goes_on_waiting_until_what_comes_has_drifted(house: House, log: Log):
    """What comes first is like what was learnt; once that has been checked, drifted rows come."""
    answer(log)
    reports = house.folder / "storage" / "reports" / "watch"

    def drift_later() -> None:
        while not list(reports.glob("*/drift.json")) and not has_ended.wait(0.05):
            pass
        first.extend(path.read_text() for path in reports.glob("*/drift.json"))
        answer(log, shift=3.0, n_rows=900)

    first: list[str] = []
    has_ended = threading.Event()
    somebody = threading.Thread(target=drift_later)
    with DAG(dag_id="watch", schedule=None) as dag:
        DriftSensor(task_id="wait", model_name="small", poke_interval=0.1, timeout=120)
    somebody.start()
    try:
        ended = house.run(dag)
    finally:
        has_ended.set()
        somebody.join()
    assert ended.state == "success"
    assert '"STABLE"' in first[0]
    assert (ended.result("wait")["status"], ended.result("wait")["n_current"]) == ("DRIFTED", 1200)


def test_the_sensor_gives_up_at_its_deadline_which_a_check_does_not_put_off(house: House, log: Log):
    answer(log)
    sensor = DriftSensor(task_id="wait", model_name="small", timeout=60)
    with pytest.raises(AirflowSensorTimeout, match="small has not drifted within 60 seconds"):
        sensor.execute_complete(_context(), {"n_rows": 300, "seen_until": time.time(), "deadline": time.time() - 1})


def test_the_sensor_ends_where_a_column_is_gone_which_is_not_stable(house: House, log: Log):
    rows = asked(300)
    log.write(rows.rename(columns={"x": "z"}), 2 * rows["x"], at=datetime.now(UTC) - timedelta(seconds=1))
    event = {"n_rows": 300, "seen_until": time.time(), "deadline": time.time() + 60}
    found = DriftSensor(task_id="wait", model_name="small").execute_complete(_context(), event)
    assert found["status"] == "INCOMPLETE"


def test_the_sensor_waits_for_rows_that_come_after_those_it_has_checked(house: House, log: Log):
    answer(log)
    event = {"n_rows": 300, "seen_until": time.time(), "deadline": time.time() + 60}
    with pytest.raises(TaskDeferred) as deferred:
        DriftSensor(task_id="wait", model_name="small").execute_complete(_context(), event)
    trigger = deferred.value.trigger
    assert (trigger.seen_until, trigger.deadline) == (event["seen_until"], event["deadline"])


def test_settings_that_can_not_be_used_fail_for_good_before_anything_is_waited_for():
    sensor = DriftSensor(task_id="wait", model_name="small", monitoring={"min_row": 5})
    with pytest.raises(AirflowFailException, match="min_row: unknown key"):
        sensor.execute({})  # type: ignore[arg-type]


def _context() -> Any:
    from types import SimpleNamespace

    run = SimpleNamespace(dag_id="watch", run_id="r", run_type="manual", triggering_user_name="ada")
    return {"dag_run": run, "ti": SimpleNamespace(try_number=1)}


def test_the_dags_on_the_page_about_drift_can_be_built():
    page = (REPOSITORY / "docs" / "howto" / "drift.md").read_text()
    found: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], found)  # type: ignore[index]
    assert found["DriftSensor"] is DriftSensor
