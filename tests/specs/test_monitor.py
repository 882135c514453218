from __future__ import annotations

import pytest

from airflow_mlops.errors import SpecError
from airflow_mlops.specs import MonitoringSpec, NewDataTrigger, ScheduleTrigger


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("psi_threshold", 0),
        ("psi_threshold", float("nan")),
        ("drifted_fraction", 0),
        ("drifted_fraction", 1.01),
        ("min_rows", 0),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_its_name(name, value):
    with pytest.raises(SpecError, match=f"\n  {name}: "):
        MonitoringSpec(**{name: value})


def test_all_columns_may_have_to_drift():
    assert MonitoringSpec(drifted_fraction=1).drifted_fraction == 1


def test_polling_without_a_pause_is_refused():
    with pytest.raises(SpecError, match="poll_interval_s"):
        NewDataTrigger(poll_interval_s=0)


@pytest.mark.parametrize("settings", [{}, {"cron": ""}])
def test_a_schedule_needs_its_cron_expression(settings):
    with pytest.raises(SpecError, match="\n  cron: "):
        ScheduleTrigger(**settings)
