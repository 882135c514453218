"""Drift of a batch against a stored reference profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from airflow_mlops.core.profile import DatasetProfile
from airflow_mlops.core.values import Value
from airflow_mlops.specs.monitor import MonitoringSpec

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftStatus",
    "judge_drift",
    "population_stability_index",
]


class DriftStatus(StrEnum):
    """What a drift check found. Only STABLE means that nothing moved."""

    DRIFTED = "DRIFTED"
    STABLE = "STABLE"
    TOO_FEW_ROWS = "TOO_FEW_ROWS"
    NO_REFERENCE = "NO_REFERENCE"


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """The population stability index of one column, and whether it reached the threshold."""

    name: str
    psi: float
    is_drifted: bool


@dataclass(frozen=True, kw_only=True)
class DriftReport(Value):
    """The rows that are new since the champion learnt, against the rows that it learnt from."""

    model_name: str
    status: DriftStatus
    reasons: tuple[str, ...]
    champion_version: int | None = None
    reference_digest: str = ""
    current_digest: str
    n_reference: int = 0
    n_current: int = 0
    columns: tuple[ColumnDrift, ...] = ()
    report_uri: str = ""


def population_stability_index(*, reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    r"""Return :math:`\sum_i (p_i - q_i) \ln (p_i / q_i)` over the bins that either side has.

    The population stability index of credit scoring (Siddiqi, *Credit Risk Scorecards*, 2006), which is
    the symmetric divergence of Jeffreys (1946). Counts are smoothed by one half per bin (Krichevsky and
    Trofimov, 1981), so that a bin that one side lacks gives a large number and not infinity.

    :param reference: counts by bin.
    :param current: counts by bin.
    :returns: 0 for equal distributions, no upper bound; NaN when a side has no rows.

    >>> population_stability_index(reference={"a": 50, "b": 50}, current={"a": 50, "b": 50})
    0.0
    >>> round(population_stability_index(reference={"a": 90, "b": 10}, current={"a": 10, "b": 90}), 2)
    3.41
    """
    bins = sorted(name for name in {*reference, *current} if reference.get(name) or current.get(name))
    if not sum(reference.values()) or not sum(current.values()):
        return float("nan")
    p = np.array([reference.get(name, 0) for name in bins]) + 0.5
    q = np.array([current.get(name, 0) for name in bins]) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((p - q) * np.log(p / q)))


def judge_drift(
    *, reference: DatasetProfile, current: DatasetProfile, monitoring: MonitoringSpec
) -> tuple[DriftStatus, tuple[ColumnDrift, ...], tuple[str, ...]]:
    """Compare two profiles that were counted in the same bins.

    :returns: the status, the columns by falling drift, and the reasons.
    """
    if current.n_rows < monitoring.min_rows:
        text = (
            f"{current.n_rows} new row(s) since the champion's data, monitoring.min_rows is {monitoring.min_rows}: "
            f"too few to tell."
        )
        return DriftStatus.TOO_FEW_ROWS, (), (text,)
    found = {column.name: column for column in current.columns}
    columns = []
    for column in reference.columns:
        psi = population_stability_index(reference=column.counts, current=found[column.name].counts)
        columns.append(ColumnDrift(name=column.name, psi=psi, is_drifted=psi >= monitoring.psi_threshold))
    columns.sort(key=lambda column: -column.psi)
    drifted = [column for column in columns if column.is_drifted]
    is_drifted = bool(columns) and len(drifted) / len(columns) >= monitoring.drifted_fraction
    worst = ", ".join(f"{column.name} {column.psi:.3g}" for column in columns[:3])
    text = (
        f"{len(drifted)} of {len(columns)} column(s) drifted, {current.n_rows} new rows against {reference.n_rows} "
        f"(PSI threshold {monitoring.psi_threshold:g}; {worst})."
    )
    return (DriftStatus.DRIFTED if is_drifted else DriftStatus.STABLE), tuple(columns), (text,)
