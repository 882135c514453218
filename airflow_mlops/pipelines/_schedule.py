"""What starts the training."""

from __future__ import annotations

from typing import Any

from airflow_mlops.specs.monitor import AssetTrigger, NewDataTrigger, ScheduleTrigger
from airflow_mlops.specs.pipeline import PipelineSpec

__all__ = ["schedule_of"]


def schedule_of(spec: PipelineSpec) -> Any:
    """Return what starts the training DAG: the clock, or any of some assets; ``None`` when only a person does."""
    from airflow.sdk import AssetAny, AssetOrTimeSchedule, CronTriggerTimetable

    from airflow_mlops.assets import alert_asset

    timetable, assets = None, []
    for trigger in spec.triggers:
        if isinstance(trigger, ScheduleTrigger):
            timetable = CronTriggerTimetable(trigger.cron, timezone="UTC")
        elif isinstance(trigger, NewDataTrigger):
            assets.append(_new_data(spec, trigger))
        elif isinstance(trigger, AssetTrigger):
            assets.append(_other(trigger))
    if spec.alert_kinds:
        assets.append(alert_asset(spec.model_name))
    any_of_them = AssetAny(*assets) if len(assets) > 1 else assets
    if timetable and assets:
        return AssetOrTimeSchedule(timetable=timetable, assets=any_of_them)
    return timetable or any_of_them or None


def _new_data(spec: PipelineSpec, trigger: NewDataTrigger) -> Any:
    from airflow_mlops.pipelines._assets import watched_data

    return watched_data(f"{spec.model_name}_data", spec.data, poll_interval_s=trigger.poll_interval_s)


def _other(trigger: AssetTrigger) -> Any:
    """Return what another DAG has among its outlets; of a mere reference to it, Airflow would lose the events."""
    from airflow.sdk import Asset

    return Asset(name=trigger.name or trigger.uri or "", uri=trigger.uri or trigger.name or "")
