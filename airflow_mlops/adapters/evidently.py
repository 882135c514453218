"""Evidently: draws the drift report that people look at, and decides by its own methods where that is wanted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "true")

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from airflow_mlops.core.monitoring.drift_report import ColumnDrift, DriftStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.errors import DataError

__all__ = ["Comparison", "compare_frames"]


@dataclass(frozen=True)
class Comparison:
    """What Evidently says of two samples.

    :param columns: by its own methods and limits.
    :param page: a stand-alone HTML page.
    """

    columns: tuple[ColumnDrift, ...]
    page: str


def compare_frames(*, reference: Any, current: Any, numeric: Sequence[str]) -> Comparison:
    """Compare two pandas data frames of the same columns, which are samples.

    :param numeric: the columns that are numbers; all others are categories.
    :raises DataError: when Evidently can't compare them, such as a column that is null in every row.
    """
    kinds = DataDefinition(
        numerical_columns=[name for name in current.columns if name in numeric],
        categorical_columns=[name for name in current.columns if name not in numeric],
    )
    with warnings.catch_warnings(action="ignore"):  # constant and short samples make scipy warn
        before, now = (Dataset.from_pandas(frame, data_definition=kinds) for frame in (reference, current))
        try:
            snapshot = Report([DataDriftPreset()]).run(now, before)
            metrics = snapshot.dict()["metrics"]
        except Exception as error:  # of whatever its methods stumble over
            raise DataError(
                f"Evidently can't compare the samples: {type(error).__name__}: {str(error)[:300]}. Nothing was "
                f"decided. Name the column in monitoring.ignore, or leave out monitoring.engine."
            ) from error
        columns = tuple(_column(metric) for metric in metrics if "column" in metric["config"])
        return Comparison(columns, str(snapshot.get_html_str(as_iframe=False)))


def _column(metric: dict[str, Any]) -> ColumnDrift:
    """Read one of its results; a p-value says drift when it is small, a distance when it is large."""
    config, value = metric["config"], float(metric["value"])
    method, limit = str(config["method"]), float(config["threshold"])
    is_drifted = value < limit if "p_value" in method else value >= limit
    reason = Reason(
        stage="monitoring",
        rule="evidently",
        verdict=DriftStatus.DRIFTED,
        observed=value,
        required=limit,
        facts={"method": method},
    )
    return ColumnDrift(
        name=config["column"],
        statistics={method: value},
        is_drifted=is_drifted,
        reasons=(reason,) if is_drifted else (),
    )
