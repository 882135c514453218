from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_mlops.core.observability.telemetry import METRICS, Measurement, MetricKind, clean_tag


@given(st.text())
def test_a_tag_is_what_every_backend_takes(text: str):
    cleaned = clean_tag(text)
    assert 0 < len(cleaned) <= 60
    assert not set(cleaned) & set(" ,=:|#@\n")
    assert cleaned.isascii()


@given(st.text(), st.text())
def test_a_name_without_tags_has_a_part_for_each_tag(model: str, column: str):
    tags: dict[str, Any] = {"model_name": clean_tag(model), "column": clean_tag(column)}
    name = Measurement(metric=METRICS["mlops.drift.psi"], value=1.0, tags=tags).flat_name
    assert name.count(".") == 4
    assert len(name) < 250


def test_counters_count_what_happened_and_gauges_say_what_is():
    counted = {metric.name for metric in METRICS.values() if metric.kind is MetricKind.COUNTER}
    assert {name.rpartition(".")[2] for name in counted} == {"decisions", "models", "changes", "rows"}
