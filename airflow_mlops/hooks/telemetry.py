"""Telemetry goes out by Airflow's own means: what ``[metrics]`` in its configuration says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from airflow.sdk import conf

if TYPE_CHECKING:
    from airflow_mlops.core.observability.telemetry import Measurement

__all__ = ["send_telemetry"]

log = logging.getLogger(__name__)


def send_telemetry(take: Callable[[], Iterable[Measurement]]) -> None:
    """Send measurements, where Airflow sends metrics. What goes wrong is a warning in the log.

    :param take: gives them; where Airflow sends no metrics it is not called.
    """
    if not any(_is_on(option) for option in ("statsd_datadog_enabled", "statsd_on", "otel_on")):
        return
    try:
        for each in take():
            _send(each)
    except Exception as error:  # whatever a backend raises: the step is done, and a dashboard is no reason to fail it
        log.warning("metrics not sent: error=%s: %s", type(error).__name__, error)


def _send(each: Measurement) -> None:
    from airflow.sdk.observability.stats import Stats

    from airflow_mlops.core.observability.telemetry import MetricKind

    # Airflow hands tags to all backends, and StatsD without InfluxDB's style drops them: two models would be one.
    has_tags = _is_on("statsd_datadog_enabled") or _is_on("statsd_influxdb_enabled") or not _is_on("statsd_on")
    name, tags = (each.metric.name, dict(each.tags)) if has_tags else (each.flat_name, None)
    if each.metric.kind is MetricKind.COUNTER:
        Stats.incr(name, int(each.value), tags=tags)
    else:
        Stats.gauge(name, each.value, tags=tags)


def _is_on(option: str) -> bool:
    return conf.getboolean("metrics", option, fallback=False)
