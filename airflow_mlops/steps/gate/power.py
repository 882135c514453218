"""Power: how many held-out rows the gate of a model needs, as its last evaluation shows."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.gate.power import detectable_difference, rows_needed, spread_of
from airflow_mlops.errors import SpecError
from airflow_mlops.steps.platform import folder_name, short
from airflow_mlops.steps.registry.journal import read_journal

__all__ = ["Power", "last_evaluation", "power_of"]


@dataclass(frozen=True, kw_only=True)
class Power:
    """What so many held-out rows show of one metric.

    :param against: ``champion``, or ``baseline`` where there was no champion.
    :param detectable: the smallest difference, counted from the margin, that the rows of the evaluation show.
    :param n_needed: how many rows show the difference that was asked for; ``None`` where none was.
    """

    metric: str
    against: str
    n_rows: int
    spread: float
    detectable: float
    n_needed: int | None = None


def last_evaluation(model_name: str, *, storage: Storage) -> EvaluationReport:
    """Return the evaluation that the last promotion was decided on.

    :raises SpecError: when nothing was promoted yet.
    """
    for entry in reversed(read_journal(model_name, storage=storage)):
        path = ("evidence", folder_name(model_name), f"{short(entry.evidence_digest)}.json")
        if entry.evidence_digest and storage.exists(*path):
            return EvaluationReport.from_dict(storage.read_json(*path))
    raise SpecError(f"No version of {model_name!r} was promoted yet, so no evaluation shows how much rows differ.")


def power_of(report: EvaluationReport, *, difference: float | None = None, power: float = 0.8) -> list[Power]:
    """Return what the rows of an evaluation show, by metric.

    :param difference: how large a difference is to be seen, in the metric's unit, counted from the margin.
    :param power: how often it is to be seen.
    """
    found = []
    for comparison in report.comparisons:
        interval = comparison.against_champion or comparison.against_baseline
        spread = spread_of(report, interval)
        settings = {"confidence_level": report.confidence_level, "power": power}
        found.append(
            Power(
                metric=comparison.metric,
                against="champion" if comparison.against_champion else "baseline",
                n_rows=report.n_rows,
                spread=spread,
                detectable=detectable_difference(spread, n_rows=report.n_rows, **settings),
                n_needed=None if difference is None else rows_needed(spread, difference=difference, **settings),
            )
        )
    return found
