"""When data counts as different from what the champion learnt from, and what starts a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_mlops.specs._base import Spec

__all__ = ["MonitoringSpec", "NewDataTrigger", "ScheduleTrigger", "TriggerSpec"]


class MonitoringSpec(Spec):
    """When new data counts as different.

    :param psi_threshold: a column has drifted from this population stability index on.
    :param drifted_fraction: the dataset has drifted when at least this fraction of its columns has.
    :param min_rows: fewer new rows than this can't be judged: sampling alone gives ten bins an index above 0.2
        in 30 % of the samples of 50 rows, and in next to none of 200.
    """

    psi_threshold: float = Field(default=0.2, gt=0)
    drifted_fraction: float = Field(default=0.5, gt=0, le=1)
    min_rows: int = Field(default=200, ge=1)


class NewDataTrigger(Spec):
    """Start a run when files arrive at the dataset's path.

    :param poll_interval_s: seconds between two looks. A file counts once it has not changed between two.
    """

    type: Literal["new_data"] = "new_data"
    poll_interval_s: float = Field(default=60.0, gt=0)


class ScheduleTrigger(Spec):
    """Start a run by the clock.

    :param cron: a cron expression, in UTC.
    """

    type: Literal["schedule"] = "schedule"
    cron: str = Field(min_length=1)


TriggerSpec = Annotated[NewDataTrigger | ScheduleTrigger, Field(discriminator="type")]
