"""Drift of a batch against a stored reference profile, and whether to retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value
from airflow_mlops.specs.monitor import MonitoringSpec

__all__ = [
    "OTHER",
    "ColumnDrift",
    "ColumnProfile",
    "DatasetProfile",
    "DriftReport",
    "DriftStatus",
    "RetrainDecision",
    "bin_labels",
    "count_numbers",
    "decide_retraining",
    "judge_drift",
    "population_stability_index",
    "quantile_edges",
]

OTHER = "(other)"
_SPECIAL = ("null", "nan", "-inf", "+inf", "below", "above")


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """How often each bin of a column occurs.

    :param edges: ascending bounds of a numeric column's bins, ``None`` for a categorical one.
    :param counts: by bin. Numeric columns have bins of their own for null, NaN, the infinities, and for
        values below and above what the reference had; categorical ones for null and all rare values.
    """

    name: str
    edges: tuple[float, ...] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows that were counted."""
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True)
class DatasetProfile(Value):
    """The profiles of a snapshot's columns, counted on all rows: what drift is measured against."""

    snapshot_digest: str
    n_rows: int
    columns: tuple[ColumnProfile, ...]


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


@dataclass(frozen=True, kw_only=True)
class RetrainDecision(Value):
    """Whether to train, always with the reasons."""

    model_name: str
    should_retrain: bool
    reasons: tuple[str, ...]
    snapshot_digest: str
    fingerprint: str
    evidence: dict[str, Any] = field(default_factory=dict)
    run_id: str
    trigger: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.model_name}: {'retrain' if self.should_retrain else 'not retrained'}. " + " ".join(self.reasons)


def quantile_edges(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Return bin edges from ascending reference quantiles, duplicates merged.

    A constant column gets one bin that holds just its value.

    >>> quantile_edges([1.0, 1.0, 2.0])
    (1.0, 2.0)
    """
    edges = np.unique(np.asarray(quantiles, dtype=float))
    if len(edges) == 1:
        edges = np.array([edges[0], np.nextafter(edges[0], np.inf)])
    return tuple(float(edge) for edge in edges)


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bins between the edges, in order."""
    return tuple(f"[{low:.17g}, {high:.17g})" for low, high in pairwise(edges))


def count_numbers(values: NDArray[np.float64], n_null: int, edges: Sequence[float]) -> dict[str, int]:
    """Count values by bin, in one pass.

    :param values: ``(n,) float64``, the values that are not null; NaN and infinities may be among them.
    :param n_null: how many more rows are null.
    :param edges: ascending; bins are closed on the left, the last one on both sides.
    :returns: counts by bin name; they add up to ``len(values) + n_null``.

    >>> counts = count_numbers(np.array([0.0, 1.0, 2.0, 9.0, np.nan]), 1, [1.0, 2.0])
    >>> {name: count for name, count in counts.items() if count}
    {'null': 1, 'nan': 1, 'below': 1, 'above': 1, '[1, 2)': 2}
    """
    counts = dict.fromkeys((*_SPECIAL, *bin_labels(edges)), 0)
    finite = values[np.isfinite(values)]
    counts["null"] = n_null
    counts["nan"] = int(np.isnan(values).sum())
    counts["-inf"] = int(np.isneginf(values).sum())
    counts["+inf"] = int(np.isposinf(values).sum())
    if not len(edges):
        counts["above"] = len(finite)
        return counts
    bounds = np.asarray(edges)
    index = np.searchsorted(bounds, finite, side="right")
    index[finite == bounds[-1]] = len(bounds) - 1
    tally = np.bincount(index, minlength=len(bounds) + 1)
    counts["below"], counts["above"] = int(tally[0]), int(tally[-1])
    counts.update(zip(bin_labels(edges), (int(n) for n in tally[1:-1]), strict=True))
    return counts


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


def decide_retraining(
    *, force: bool, champion_version: int | None, concluded: str | None, drift_reasons: Sequence[str] = ()
) -> tuple[bool, tuple[str, ...]]:
    """Decide whether this run trains.

    :param force: a person asks for it.
    :param concluded: how an earlier run with the same data, code and parameters ended; ``None`` if there
        is none.
    :param drift_reasons: what a drift check found.
    :returns: the decision and its reasons.
    """
    if force:
        return True, ("Forced by the run's parameters.",)
    if concluded:
        text = f"Nothing new: data, code and parameters are those of {concluded}. Set force to train all the same."
        return False, (text,)
    if champion_version is None:
        return True, ("Cold start: there is no champion yet.",)
    return True, (f"Data, code or parameters changed since v{champion_version}.", *drift_reasons)
