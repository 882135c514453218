from __future__ import annotations

import re

import pytest
import yaml

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import MonitoringSpec, NewDataTrigger, ScheduleTrigger
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"numeric": {"psi": 0}}, "\n  numeric.psi: "),
        ({"numeric": {"psi": float("nan")}}, "\n  numeric.psi: "),
        ({"numeric": {}}, "\n  numeric: "),
        ({"numeric": {"chi_square": 0.05}}, "\n  numeric.chi_square"),
        ({"categorical": {"wasserstein": 0.1}}, "\n  categorical.wasserstein"),
        ({"categorical": {"chi_square": 1.0}}, "limit of chi_square is a probability and must be below 1, not 1"),
        ({"features": {"age": {"kolmogorov_smirnov": 2}}}, "limit of kolmogorov_smirnov is a probability"),
        ({"features": {"age": {"psy": 0.1}}}, "\n  features.age.psy"),
        ({"drifted_fraction": 0}, "\n  drifted_fraction: "),
        ({"drifted_fraction": 1.01}, "\n  drifted_fraction: "),
        ({"missing_change": 0}, "\n  missing_change: "),
        ({"significance_level": 1}, "\n  significance_level: "),
        ({"min_rows": 0}, "\n  min_rows: "),
        ({"trailing": 86400}, "\n  trailing: write a duration as P30D"),
        ({"trailing": "PT0S"}, "\n  trailing: "),
        ({"seasonal_period": "P1M"}, "\n  seasonal_period: months and years differ in length"),
        ({"numeric": {"jensen_shannon": 2}}, "at most 0.8326, which 2 is beyond: no column could drift"),
        ({"features": {"age": {"jensen_shannon": 0.84}}}, "which 0.84 is beyond"),
        ({"schedule": "every day"}, "for iterator expression. Write minute, hour, day, month and weekday"),
        ({"schedule": "0 0 31 2 *"}, "\n  schedule: is no cron expression: "),
        ({"engine": "evidently", "reference": "seasonal"}, "leave out reference: seasonal"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_its_name(settings, words):
    with pytest.raises(SpecError, match=re.escape(words)):
        MonitoringSpec(**settings)


def test_all_columns_may_have_to_drift():
    assert MonitoringSpec(drifted_fraction=1).drifted_fraction == 1


def test_polling_without_a_pause_is_refused():
    with pytest.raises(SpecError, match="poll_interval_s"):
        NewDataTrigger(poll_interval_s=0)


def test_the_monitoring_may_be_started_by_hand_alone():
    assert MonitoringSpec(schedule=None).schedule is None


@pytest.mark.parametrize("cron", ["@quarterly", "*/15 6-18 * * 1-5", "0 0 29 2 *"])
def test_what_airflow_understands_is_a_cron_expression(cron):
    from airflow.sdk import CronTriggerTimetable  # takes seconds, which the other tests of specs need not wait for

    assert CronTriggerTimetable(ScheduleTrigger(cron=cron).cron, timezone="UTC").expression


@pytest.mark.parametrize("settings", [{}, {"cron": ""}, {"cron": "0 25 * * *"}, {"cron": "@once"}])
def test_a_schedule_needs_its_cron_expression(settings):
    with pytest.raises(SpecError, match="\n  cron: "):
        ScheduleTrigger(**settings)


def test_the_settings_on_the_page_about_drift_can_be_used():
    page = (REPOSITORY / "docs" / "howto" / "drift.md").read_text()
    blocks = [yaml.safe_load(block)["monitoring"] for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    first, seasonal = map(MonitoringSpec.parse, blocks)
    assert first.features == {"price": {"wasserstein": 0.3}, "city": {"chi_square": 0.01}}
    assert seasonal.reference == "seasonal"
