"""Metrics as they leave a task, at listeners like those of a platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from airflow_mlops import ContinuousTraining
from airflow_mlops.core.monitoring.performance_report import PerformanceReport, PerformanceStatus
from airflow_mlops.core.observability.telemetry import METRICS
from airflow_mlops.core.retraining.decision import RetrainDecision
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import UnavailableError
from airflow_mlops.operators import PerformanceCheckOperator
from airflow_mlops.operators._base import StepOperator
from airflow_mlops.sensors import DriftSensor
from tests.hooks.telemetry_cases import OtlpReceiver, StatsdListener, Switch
from tests.operators.cases import halting_checks
from tests.operators.conftest import House
from tests.steps.cases import Bench, small_frame, small_settings
from tests.steps.drift_cases import Log, asked

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_run_sends_what_its_steps_found_with_tags_in_influxdbs_style(
    house: House, bench: Bench, switch: Switch, statsd: StatsdListener
):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port, statsd_influxdb_enabled=True)
    assert house.run(ContinuousTraining(**small_settings(bench.inbox)).dag()).state == "success"
    found = dict(statsd.lines())
    assert found["mlops.data.rows,dataset=small"] == "300.0|g"
    last_row = small_frame()["day"].max().timestamp()
    assert found["mlops.data.newest_row_timestamp_seconds,dataset=small"] == f"{last_row}|g"
    assert found["mlops.validation.verdict,dataset=small,verdict=PROCEED"] == "1.0|g"
    assert found["mlops.validation.verdict,dataset=small,verdict=HALT"] == "0.0|g"
    assert found["mlops.drift.status,model_name=small,data=snapshot,status=NO_REFERENCE"] == "1.0|g"
    assert found["mlops.retrain.decisions,model_name=small,decision=retrain"] == "1|c"
    assert found["mlops.training.models,model_name=small"] == "1|c"
    assert found["mlops.gate.decisions,model_name=small,verdict=BLESSED"] == "1|c"
    assert found["mlops.champion.version,model_name=small"] == "1.0|g"
    taken = float(found["mlops.champion.data_to_champion_seconds,model_name=small"].removesuffix("|g"))
    assert timedelta(seconds=taken) > NOW.replace(tzinfo=None) - small_frame()["day"].max().to_pydatetime()
    assert {name.partition(",")[0] for name in found} <= METRICS.keys()


def test_without_tags_their_values_follow_the_name_also_when_the_task_fails(
    house: House, bench: Bench, switch: Switch, statsd: StatsdListener
):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port)
    assert house.run(halting_checks(bench)).states == {"snapshot": "success", "validate": "failed"}
    found = dict(statsd.lines())
    assert found["mlops.validation.verdict.small.HALT"] == "1.0|g"
    assert found["mlops.validation.findings.small"] == "1.0|g"
    assert not [name for name in found if "," in name]


def test_opentelemetry_gets_them_with_attributes(house: House, bench: Bench, switch: Switch, otlp: OtlpReceiver):
    switch(otel_on=True, otel_host="127.0.0.1", otel_port=otlp.port, otel_interval_milliseconds=3_600_000)
    house.run(halting_checks(bench))
    found = otlp.points()
    assert found["airflow.mlops.validation.verdict", (("dataset", "small"), ("verdict", "HALT"))] == 1.0
    assert found["airflow.mlops.data.rows", (("dataset", "small"),)] == 300.0


class DecideTwice(StepOperator):
    """Decides, and has an outage at its first try, when it has decided already."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def call_step(self, run: Any) -> RetrainDecision:
        settings: dict[str, Any] = {"snapshot_digest": "s", "fingerprint": "f", "run_id": run.run_id, "trigger": "t"}
        return RetrainDecision(model_name="small", should_retrain=True, reasons=(), at=NOW, **settings)

    def conclude(self, value: RetrainDecision, context: Any) -> None:
        if context["ti"].try_number == 1:
            raise UnavailableError("MLflow does not answer.")


def test_what_is_tried_again_is_counted_once(house: House, switch: Switch, statsd: StatsdListener):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port)
    with DAG(dag_id="twice", schedule=None) as dag:
        DecideTwice(task_id="decide", retries=1, retry_delay=timedelta(0))
    ended = house.run(dag)
    assert (ended.state, ended.tries) == ("success", {"decide": 2})
    counted = [line for line in statsd.lines() if line[0] == "mlops.retrain.decisions.small.retrain"]
    assert len(counted) == 1


class Sleeper(DecideTwice):
    """Goes to sleep when it has looked, as a canary's analysis does."""

    def conclude(self, value: RetrainDecision, context: Any) -> None:
        self.defer(trigger=DateTimeTrigger(datetime.now(UTC)), method_name="execute")


def test_a_look_before_the_last_one_is_sent_too(switch: Switch, statsd: StatsdListener):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port)
    sleeper = Sleeper(task_id="decide")
    run = PipelineRun(pipeline="p", run_id="r")
    with pytest.raises(TaskDeferred):
        sleeper.leave(sleeper.call_step(run), context={})  # type: ignore[arg-type]
    assert ("mlops.retrain.should_retrain.small", "1.0|g") in statsd.lines()


def test_the_drift_sensor_sends_each_of_its_checks(house: House, bench: Bench, switch: Switch, statsd: StatsdListener):
    assert bench.run("first").promotion is not None
    rows = asked(300, 3.0)
    Log(bench).write(rows, 2 * rows["x"], at=datetime.now(UTC) - timedelta(seconds=1))
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port, statsd_influxdb_enabled=True)
    with DAG(dag_id="watch", schedule=None) as dag:
        DriftSensor(task_id="wait", model_name="small", poke_interval=0.1, timeout=120)
    assert house.run(dag).state == "success"
    found = dict(statsd.lines())
    assert found["mlops.drift.status,model_name=small,data=inference_log,status=DRIFTED"] == "1.0|g"
    assert float(found["mlops.drift.psi,model_name=small,data=inference_log,column=x"].removesuffix("|g")) > 0.25


@pytest.mark.parametrize(("model_version", "n_states"), [(None, len(PerformanceStatus)), ("3", 0)])
def test_another_version_that_is_looked_at_does_not_pass_for_the_champion(model_version: str | None, n_states: int):
    report = PerformanceReport(
        model_name="small", model_version=3, status=PerformanceStatus.DEGRADED, reasons=(), checked_at=NOW
    )
    operator = PerformanceCheckOperator(
        task_id="check", model_name="small", performance={}, model_version=model_version
    )
    assert len(operator.measure(report)) == n_states
