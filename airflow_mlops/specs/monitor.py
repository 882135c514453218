"""When data counts as different from what the champion was trained on, and what starts a run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from airflow_mlops.specs._base import Duration, Spec, cron_setting

__all__ = [
    "AssetTrigger",
    "DriftTrigger",
    "MonitoringSpec",
    "NewDataTrigger",
    "PerformanceTrigger",
    "ScheduleTrigger",
    "TriggerSpec",
]


NumericStatistic = Literal["psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov"]
CategoricalStatistic = Literal["psi", "jensen_shannon", "chi_square"]
Statistic = Literal["psi", "jensen_shannon", "wasserstein", "kolmogorov_smirnov", "chi_square"]
Limit = Annotated[float, Field(gt=0)]
Cron = Annotated[str, AfterValidator(cron_setting)]

_MAX_JENSEN_SHANNON = math.sqrt(math.log(2))


class MonitoringSpec(Spec):
    """When data counts as different from what the champion was trained on.

    A limit of ``psi``, ``jensen_shannon`` or ``wasserstein`` is a distance from which on a column has drifted, unless
    chance explains it. A limit of ``kolmogorov_smirnov`` or ``chi_square`` is a probability: below it, chance does not
    explain the difference, however small it is. See :mod:`airflow_mlops.core.stats.drift_statistics`.

    :param numeric: limits for columns of numbers, by statistic; the first that is reached decides.
    :param categorical: limits for all other columns.
    :param features: limits for single columns, in place of those.
    :param ignore: columns that are not compared, such as redacted ones.
    :param missing_change: a column has drifted when its share of null and NaN moved by this much.
    :param drifted_fraction: the dataset has drifted when its drifted features have at least this fraction of the
        importance of all, as the champion's evaluation measured it; where it did not, all count alike. It has drifted
        too when the target has, or the predictions have.
    :param min_rows: fewer rows than this can't be judged: sampling alone gives ten bins an index above 0.2 in 30 % of
        the samples of 50 rows, and in next to none of 200.
    :param correction: for the number of columns: ``holm`` bounds the probability of even one false alarm,
        ``benjamini_hochberg`` the share of false ones among the alarms.
    :param significance_level: how probable a difference may be by chance, after the correction.
    :param reference: what is compared with: the data that the ``champion`` was trained on, or the same window one
        ``seasonal_period`` before, in the champion's bins.
    :param seasonal_period: how long before, where the reference is ``seasonal``.
    :param trailing: how much of the inference log is looked at.
    :param engine: ``evidently`` decides by its own methods and limits, on samples of 20,000 rows, and is slower.
    :param domain_classifier: whether a classifier tries to tell old rows from new ones, on samples: it sees what
        changed between columns. The dataset has drifted if it can.
    :param schedule: when the monitoring DAG looks at the inference log: a cron expression, in UTC; ``None``: only when
        a person starts it.
    :param answer_within: an alert that no run of the training DAG has answered after this time is raised again.
    """

    numeric: dict[NumericStatistic, Limit] = Field(default={"psi": 0.2}, min_length=1)
    categorical: dict[CategoricalStatistic, Limit] = Field(default={"psi": 0.2}, min_length=1)
    features: dict[str, dict[Statistic, Limit]] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    missing_change: float = Field(default=0.1, gt=0, le=1)
    drifted_fraction: float = Field(default=0.5, gt=0, le=1)
    min_rows: int = Field(default=200, ge=1)
    correction: Literal["holm", "benjamini_hochberg", "none"] = "holm"
    significance_level: float = Field(default=0.05, gt=0, lt=1)
    reference: Literal["champion", "seasonal"] = "champion"
    seasonal_period: Duration = timedelta(days=7)
    trailing: Duration = timedelta(days=1)
    engine: Literal["duckdb", "evidently"] = "duckdb"
    domain_classifier: bool = False
    schedule: Cron | None = "@daily"
    answer_within: Duration = timedelta(hours=6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        single = (each.items() for each in self.features.values())
        limits: Iterable[tuple[str, float]] = chain(self.numeric.items(), self.categorical.items(), *single)
        for statistic, limit in limits:
            if statistic in ("kolmogorov_smirnov", "chi_square") and limit >= 1:
                raise ValueError(f"the limit of {statistic} is a probability and must be below 1, not {limit:g}")
            if statistic == "jensen_shannon" and limit > _MAX_JENSEN_SHANNON:
                raise ValueError(
                    f"the limit of jensen_shannon is a distance of at most {_MAX_JENSEN_SHANNON:.4f}, which {limit:g} "
                    f"is beyond: no column could drift; a usual limit is 0.1"
                )
        if self.engine == "evidently" and self.reference == "seasonal":
            raise ValueError("engine: evidently compares with the champion's data; leave out reference: seasonal")
        return self


class NewDataTrigger(Spec):
    """Start a run when files arrive at the dataset's path, local or on S3, or later rows in its query.

    :param poll_interval_s: seconds between two checks, give or take 15 %. A local file counts once it has not changed
        between two. For a query a check is one aggregate in the database, over what is later than the last check's.
    """

    type: Literal["new_data"] = "new_data"
    poll_interval_s: float = Field(default=60.0, gt=0)


class ScheduleTrigger(Spec):
    """Start a run by the clock.

    :param cron: a cron expression, in UTC.
    """

    type: Literal["schedule"] = "schedule"
    cron: Cron


class AssetTrigger(Spec):
    """Start a run when another DAG has changed an asset.

    :param name: the asset's name, as the other DAG has it; by default its URI.
    :param uri: its URI, as the other DAG has it; by default its name.
    """

    type: Literal["asset"] = "asset"
    name: str | None = Field(default=None, min_length=1)
    uri: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not (self.name or self.uri):
            raise ValueError("say which asset: its `name`, its `uri`, or both, as the other DAG has them")
        return self


class DriftTrigger(Spec):
    """Start a run when the monitoring DAG finds that what the champion is asked, or what it says, has drifted."""

    type: Literal["drift"] = "drift"


class PerformanceTrigger(Spec):
    """Start a run when the monitoring DAG finds that the champion has become worse."""

    type: Literal["performance"] = "performance"


TriggerSpec = Annotated[
    NewDataTrigger | ScheduleTrigger | AssetTrigger | DriftTrigger | PerformanceTrigger, Field(discriminator="type")
]
