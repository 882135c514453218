"""A window's predictions as arrays: which are answers, which are labelled, and what metrics make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.adapters import arrow
from airflow_mlops.adapters.sklearn import labels
from airflow_mlops.core.monitoring.performance_report import PredictionCounts
from airflow_mlops.core.monitoring.two_samples import Outcomes
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.metrics import Predicted, value_of
from airflow_mlops.steps.monitoring._champion_baseline import Reference

__all__ = ["WindowRows", "read_rows"]

Mask = NDArray[np.bool_]

_N_EXAMPLES = 3
_N_CLASSES = 20


@dataclass(frozen=True, kw_only=True)
class WindowRows:
    """The predictions of a time span.

    :param at_us: ``(n_rows,) int64``, microseconds since 1970 in UTC.
    :param values: ``(n_rows,)``, what was predicted: numbers, or places of classes.
    :param scores: ``(n_rows,) float64``, as they were logged; NaN where there is none.
    :param truth: ``(n_rows,)``, as ``values``; meaningful where ``is_labelled``.
    :param odd_labels: that there are labels which are none of the target's values; ``None``: there are not.
    :param table: the rows, for more columns.
    """

    at_us: NDArray[np.int64]
    values: NDArray[Any]
    scores: NDArray[np.float64]
    truth: NDArray[Any]
    is_answer: Mask
    is_labelled: Mask
    is_bad: Mask
    is_early: Mask
    odd_labels: Reason | None
    table: Any
    reference: Reference

    def counts(self, among: Mask | slice = slice(None)) -> PredictionCounts:
        """Count the rows, or some of them."""
        answers = self.is_answer[among]
        return PredictionCounts(
            n_predictions=len(answers),
            n_failed=int((~answers).sum()),
            n_labelled=int(self.is_labelled[among].sum()),
            n_bad=int(self.is_bad[among].sum()),
            n_early=int(self.is_early[among].sum()),
        )

    def estimates(self) -> dict[str, float]:
        """Return the metrics that are expected without a label."""
        return self.reference.estimate(self.values[self.is_answer], self.scores[self.is_answer])

    def values_of_metrics(self, among: Mask) -> dict[str, float]:
        """Return the metrics of the labelled ones of some rows; none where there is no such row."""
        rows = np.flatnonzero(among & self.is_labelled)
        if not len(rows):
            return {}
        said, n_classes = self._predicted(rows), self.reference.n_classes
        return {
            name: value_of(metric, self.truth[rows], said, n_classes) for name, metric in self.reference.metrics.items()
        }

    def outcomes(self) -> tuple[Outcomes, NDArray[np.intp]]:
        """Return the labelled rows with what champion and baseline say of them, and their places."""
        rows = np.flatnonzero(self.is_labelled)
        models = {"champion": self._predicted(rows)}
        baseline = self._baseline(rows)
        if baseline is not None:
            models["baseline"] = baseline
        return Outcomes(y_true=self.truth[rows], models=models), rows

    def _predicted(self, rows: NDArray[np.intp]) -> Predicted:
        return self.reference.predicted(self.values[rows], self.scores[rows])

    def _baseline(self, rows: NDArray[np.intp]) -> Predicted | None:
        """Return what the naive baseline says, ``None`` where the log does not have it for each of the rows."""
        known = self.reference.predictions.models["baseline"]
        known_as = self.reference.baseline_column
        if known_as is None:
            return known.at(np.zeros(len(rows), np.intp))
        if "baseline" not in self.table.column_names or self.reference.needs_scores:
            return None
        column = self.table.column("baseline")
        values, is_there = _coded(column, f"The inference log: {known_as!r}", self.reference)
        return Predicted(values=values[rows]) if is_there[rows].all() else None


def read_rows(table: Any, reference: Reference, label: str) -> WindowRows:
    """Tell the rows apart.

    :param table: from :meth:`~airflow_mlops.adapters.duckdb_engine.LoggedOutcomes.between`.
    :param label: what the labels' source calls the label.
    :raises DataError: when a number is required and something else is there.
    """
    values, is_answer = _coded(table.column("prediction"), "The inference log: the prediction", reference)
    scores = arrow.numbers(table.column("score"), "The inference log: the score")
    if reference.needs_scores:
        is_answer &= np.isfinite(scores)
    truth, is_usable = _coded(table.column("label"), f"The labels: {label!r}", reference)
    has_label = np.asarray(table.column("label").is_valid())
    contradicts = np.asarray(table.column("contradicts"))
    is_labelled = is_answer & is_usable & ~contradicts
    return WindowRows(
        at_us=np.asarray(table.column("at_us")),
        values=values,
        scores=scores,
        truth=truth,
        is_answer=is_answer,
        is_labelled=is_labelled,
        is_bad=is_answer & has_label & ~is_labelled,
        is_early=is_answer & has_label & np.asarray(table.column("is_early")),
        odd_labels=_odd_labels(table.column("label"), reference),
        table=table,
        reference=reference,
    )


def _coded(column: Any, subject: str, reference: Reference) -> tuple[NDArray[Any], Mask]:
    """Return values as metrics take them, and which of them they can take."""
    if reference.classes is None:
        numbers = arrow.numbers(column, subject)
        return numbers, np.isfinite(numbers)
    distinct, which = arrow.values_of(column)
    codes = np.append(labels.codes_of(distinct, reference.classes), -1)[which]  # a missing one is the last
    return codes, codes >= 0


def _odd_labels(column: Any, reference: Reference) -> Reason | None:
    if reference.classes is None:
        return None
    distinct, _ = arrow.values_of(column)
    odd = distinct[labels.codes_of(distinct, reference.classes) < 0].tolist()
    if not odd:
        return None
    examples = [each if isinstance(each, str | int | float) else str(each) for each in odd[:_N_EXAMPLES]]
    facts = {"examples": examples, "classes": reference.classes.tolist()[:_N_CLASSES]}
    return Reason(stage="monitoring", rule="odd_labels", n=len(odd), facts=facts)
