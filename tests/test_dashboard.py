"""The dashboard asks for what is sent, and shows all of it."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import pytest
import yaml
from airflow.sdk._shared.observability.metrics.validators import PatternAllowListValidator

from airflow_mlops.core.observability.telemetry import METRICS, Measurement, Metric, MetricKind
from tests.conftest import REPOSITORY

GRAFANA = REPOSITORY / "include" / "grafana"
DASHBOARD = json.loads((GRAFANA / "airflow-mlops.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "statsd_mapping.yaml").read_text())["mappings"]

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)


def exported(statsd_name: str) -> tuple[str, dict[str, str]]:
    """Return the name and the labels that statsd_exporter makes of a name, by its documentation."""
    name, *tags = statsd_name.split(",")
    labels = dict(tag.split("=") for tag in tags)
    for rule in RULES:
        found = re.fullmatch(re.escape(rule["match"]).replace(r"\*", r"([^.]*)"), name)
        if found:
            given = {label: found[int(place.removeprefix("$"))] for label, place in rule["labels"].items()}
            return rule["name"], {**labels, **given}
    return re.sub(r"[^A-Za-z0-9_]", "_", name), labels


def targets() -> list[tuple[str, str]]:
    """Return what the panels ask, and the legend to it."""
    return [(each["expr"], each["legendFormat"]) for panel in DASHBOARD["panels"] for each in panel.get("targets", [])]


def asked_names() -> set[str]:
    return {name for expression, _ in targets() for name in re.findall(r"\bairflow_\w+", expression)}


def airflows_metrics() -> dict[str, dict[str, Any]]:
    """Return Airflow's own list of its metrics, by the names that Prometheus has for them."""
    folder = resources.files("airflow.sdk._shared.observability.metrics")
    listed = yaml.safe_load((folder / "metrics_template.yaml").read_text())["metrics"]
    return {f"airflow_{each['name'].replace('.', '_')}": each for each in listed}


def _sent(metric: Metric) -> Measurement:
    return Measurement(metric=metric, value=1.0, tags={tag: f"a_{tag}" for tag in metric.tags})


def _prometheus_name(metric: Metric) -> str:
    return f"airflow_{metric.name.replace('.', '_')}"


@every_metric
def test_with_tags_and_without_prometheus_has_the_same(metric: Metric):
    sent = _sent(metric)
    tagged = ",".join([f"airflow.{metric.name}", *(f"{tag}={value}" for tag, value in sent.tags.items())])
    assert exported(tagged) == exported(f"airflow.{sent.flat_name}") == (_prometheus_name(metric), dict(sent.tags))


@every_metric
def test_each_of_our_metrics_is_on_a_panel(metric: Metric):
    assert _prometheus_name(metric) in asked_names()


def test_every_metric_that_a_panel_asks_for_is_ours_or_airflows():
    own = {_prometheus_name(metric) for metric in METRICS.values()}
    kinds = {name: each["type"] for name, each in airflows_metrics().items()}
    timers = {f"{name}_{part}" for name, kind in kinds.items() if kind == "timer" for part in ("sum", "count")}
    others = {name for name, kind in kinds.items() if kind != "timer"}
    assert asked_names() - own - timers - others == set()
    assert len(asked_names() & timers) == 6


def test_panels_use_labels_that_the_metric_has():
    known = {_prometheus_name(metric): set(metric.tags) for metric in METRICS.values()}
    for expression, legend in targets():
        for name, selector in re.findall(r"(airflow_mlops_\w+)(?:{(.*?)})?", expression):
            labels = set(re.findall(r"(\w+)=~", selector)) | set(re.findall(r"{{(\w+)}}", legend))
            assert labels <= known[name], (expression, legend)


def test_counters_are_shown_as_increases_and_gauges_as_they_are():
    kinds = {_prometheus_name(metric): metric.kind for metric in METRICS.values()}
    for expression, _ in targets():
        for name in re.findall(r"airflow_mlops_\w+", expression):
            assert (f"increase({name}" in expression) == (kinds[name] is MetricKind.COUNTER), expression


def test_the_first_of_a_counter_is_shown_though_increase_does_not_see_it():
    for expression, _ in targets():
        for series, window in re.findall(r"\bincrease\((airflow_[^(]*?)\[(\w+)\]\)", expression):
            first = f"{series} unless present_over_time({series}[7d] offset {window}) or "
            assert expression in (
                first + f"increase({series}[{window}])",
                first + f"round(increase({series}[{window}]))",
            )


def test_the_mean_duration_of_a_single_run_is_shown_though_its_increase_is_0():
    means = [expression for expression, _ in targets() if "_duration_" in expression]
    assert len(means) == 3
    for expression in means:
        of_range, _, of_all = expression.partition(" > 0 or ")
        assert re.sub(r"increase\((.*?)\[\$__range\]\)", r"\1", of_range) == of_all


def test_without_tags_airflow_sends_all_twice_and_panels_leave_out_what_has_no_labels():
    for rule in RULES[: len(RULES) - len(METRICS)]:
        selectors = [
            selector
            for expression, _ in targets()
            for selector in re.findall(rf"\b{rule['name']}(?:_sum|_count)?\b(?:{{(.*?)}})?", expression)
        ]
        assert set(selectors) <= {'dag_id=~"$model.*"', 'hostname!=""'}, rule["name"]
        assert selectors


@pytest.mark.parametrize(
    ("dataset", "is_shown"),
    [("co2", True), ("co2.batch", True), ("co2__batch", True), ("co2_daily", False), ("co2_daily.batch", False)],
)
def test_data_of_another_model_whose_name_begins_alike_is_not_shown(dataset: str, is_shown: bool):
    chosen = {pattern for expression, _ in targets() for pattern in re.findall(r'dataset=~"(.*?)"', expression)}
    assert {bool(re.fullmatch(pattern.replace("$model", "co2"), dataset)) for pattern in chosen} == {is_shown}


def test_the_dashboard_opens_with_all_models():
    model = next(each for each in DASHBOARD["templating"]["list"] if each["name"] == "model")
    assert model["current"]["value"] == ["$__all"]
    assert model["query"]["query"] == model["definition"]


def test_a_verdict_is_shown_by_its_name_and_not_as_the_1_that_its_gauge_is():
    panels = [each for each in DASHBOARD["panels"] if each["type"] == "stat"]
    named = {each["title"] for each in panels if each["options"]["textMode"] == "name"}
    assert named == {each["title"] for each in panels if each["targets"][0]["expr"].endswith("== 1")}


def test_airflows_names_without_tags_become_those_that_the_panels_ask_for():
    assert exported("airflow.dag.co2.train.duration") == (
        "airflow_task_duration",
        {"dag_id": "co2", "task_id": "train"},
    )
    assert exported("airflow.triggers.running.host") == ("airflow_triggers_running", {"hostname": "host"})
    for rule in RULES[: len(RULES) - len(METRICS)]:
        assert {rule["name"], f"{rule['name']}_sum"} & asked_names()


def test_the_allow_list_of_the_page_lets_through_what_the_panels_ask_for_with_tags_and_without():
    page = (REPOSITORY / "docs" / "howto" / "metrics.md").read_text()
    (allow_list,) = re.findall(r"metrics_allow_list = (\S+)`", page)
    is_allowed = PatternAllowListValidator(allow_list).test
    asked = {re.sub(r"_(sum|count)$", "", name) for name in asked_names()}
    for each in (each for name, each in airflows_metrics().items() if name in asked):
        assert is_allowed(each["name"])
        assert is_allowed(re.sub(r"{\w+}", "x", each["legacy_name"])) or each["legacy_name"] == "-"
    assert all(is_allowed(name) for name in METRICS)
    assert not any(is_allowed(name) for name in ("task.queued_duration", "dagrun.schedule_delay", "ti.finish"))


@every_metric
def test_each_of_our_metrics_is_in_the_table_of_the_page(metric: Metric):
    page = (REPOSITORY / "docs" / "howto" / "metrics.md").read_text()
    tags = ", ".join(f"`{tag}`" for tag in metric.tags)
    assert f"| `{metric.name}` | {metric.kind} | {tags} | {metric.description} |" in page
