from __future__ import annotations

import logging

import pytest
import statsd as statsd_client

from airflow_mlops.core.observability.telemetry import METRICS, Measurement
from airflow_mlops.hooks.telemetry import send_telemetry
from tests.hooks.telemetry_cases import OtlpReceiver, StatsdListener, Switch

R2 = Measurement(
    metric=METRICS["mlops.evaluation.value"],
    value=-0.5,
    tags={"model_name": "co2", "metric": "r2", "side": "baseline"},
)
TRAINED = Measurement(metric=METRICS["mlops.training.models"], value=1, tags={"model_name": "co2"})


class BrokenClient(statsd_client.StatsClient):
    """A client that can't send, as a company's own may be."""

    def _send(self, data: str) -> None:
        raise RuntimeError("the relay has no route")


def _never() -> list[Measurement]:
    raise AssertionError("nobody sends metrics here")


def test_where_airflow_sends_no_metrics_nothing_is_even_measured(switch: Switch, caplog: pytest.LogCaptureFixture):
    switch()
    send_telemetry(_never)
    assert caplog.records == []


def test_a_value_below_0_is_set_and_not_subtracted(switch: Switch, statsd: StatsdListener):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port)
    send_telemetry(lambda: [R2])
    assert statsd.lines() == [(R2.flat_name, "0|g"), (R2.flat_name, "-0.5|g")]


def test_a_broken_backend_is_a_warning_with_its_reason(switch: Switch, caplog: pytest.LogCaptureFixture):
    client = f"{BrokenClient.__module__}.{BrokenClient.__name__}"
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=9, statsd_custom_client_path=client)
    with caplog.at_level(logging.WARNING):
        send_telemetry(lambda: [TRAINED])
    assert "metrics not sent: error=RuntimeError: the relay has no route" in caplog.text


def test_a_value_that_can_not_be_measured_is_a_warning_too(switch: Switch, caplog: pytest.LogCaptureFixture):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=9)
    with caplog.at_level(logging.WARNING):
        send_telemetry(_never)
    assert "metrics not sent: error=AssertionError: nobody sends metrics here" in caplog.text


def test_airflows_allow_list_holds(switch: Switch, statsd: StatsdListener):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port, metrics_allow_list="mlops.training")
    send_telemetry(lambda: [R2, TRAINED])
    assert statsd.lines() == [("mlops.training.models.co2", "1|c")]


def test_influxdbs_style_has_the_tags_in_order(switch: Switch, statsd: StatsdListener):
    switch(statsd_on=True, statsd_host="127.0.0.1", statsd_port=statsd.port, statsd_influxdb_enabled=True)
    send_telemetry(lambda: [TRAINED, R2])
    assert dict(statsd.lines()) == {
        "mlops.training.models,model_name=co2": "1|c",
        "mlops.evaluation.value,model_name=co2,metric=r2,side=baseline": "-0.5|g",
    }


def test_opentelemetry_has_a_gauge_and_a_counter(switch: Switch, otlp: OtlpReceiver):
    switch(otel_on=True, otel_host="127.0.0.1", otel_port=otlp.port, otel_interval_milliseconds=3_600_000)
    send_telemetry(lambda: [TRAINED, R2])
    send_telemetry(lambda: [TRAINED])
    found = otlp.points()
    assert found["airflow.mlops.training.models", (("model_name", "co2"),)] == 2
    tags = (("metric", "r2"), ("model_name", "co2"), ("side", "baseline"))
    assert found["airflow.mlops.evaluation.value", tags] == -0.5
