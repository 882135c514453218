"""Leakage: what a model is trained on and will not have when it predicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.reason import Reason, as_reasons
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.errors import LeakageError, bounded_lines

__all__ = ["LeakageFinding", "LeakageReport", "chance_of_equal_rows"]

_MAX_GIVEN = 20
"""With how many columns of the most values each column is paired; all of them would take time by their square."""


@dataclass(frozen=True, kw_only=True)
class LeakageFinding:
    """One way in which the answer leaks.

    :param rule: ``shared_rows``, ``shared_groups``, ``reproduces_target``, ``determines_class``,
        ``combination_reproduces_target``, ``known_too_late``, ``known_at_null`` or ``prediction_time_null``.
    :param columns: what leaks.
    :param found: what was observed, and what was required.
    :param examples: a few of them, as text.
    :param advice: what to do.
    """

    rule: str
    columns: tuple[str, ...]
    found: Reason
    examples: tuple[str, ...] = ()
    advice: str

    def __str__(self) -> str:
        facts = {**self.found.facts, "finding": self.rule, "examples": list(self.examples)}
        found = replace(self.found, subject=", ".join(self.columns[:10]), facts=facts)
        return f"{sentence_of(found)} {self.advice}"


@dataclass(frozen=True, kw_only=True)
class LeakageReport(Value):
    """What a leakage check looked at, and what it found.

    :param n_sampled: how many training rows the features were judged on; the parts are compared on all rows.
    :param n_checks: how many comparisons were made.
    :param notes: what could not be judged, and why.
    """

    schema_version: ClassVar[int] = 2

    snapshot_digest: str
    split_digest: str
    target: str
    n_train: int
    n_test: int
    n_sampled: int
    n_checks: int
    findings: tuple[LeakageFinding, ...]
    notes: tuple[Reason, ...] = ()
    report_uri: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def require_clean(self) -> None:
        """Go on, or stop the pipeline.

        :raises LeakageError: when something leaks.
        """
        if self.is_clean:
            return
        raise LeakageError(
            f"Leakage: {len(self.findings)} finding(s) in {self.n_train} training and {self.n_test} held-out rows "
            f"({self.snapshot_digest[:19]}, target {self.target!r}).\n{bounded_lines(self.findings)}\n"
            f"Nothing was trained and the champion stays. Report: {self.report_uri}"
        )

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Read version 1, in which notes, and what was found and expected, were texts."""
        upgraded = dict(fields)
        if "notes" in fields:
            upgraded["notes"] = as_reasons(fields["notes"], stage="splitting")
        if isinstance(fields.get("findings"), list | tuple):
            upgraded["findings"] = [_upgrade_texts(each) for each in fields["findings"]]
        return upgraded


def _upgrade_texts(finding: Any) -> Any:
    if not isinstance(finding, dict) or not {"observed", "expected"} <= set(finding):
        return finding
    facts = {"observed": finding["observed"], "expected": finding["expected"]}
    rest = {name: value for name, value in finding.items() if name not in ("observed", "expected")}
    return {**rest, "found": {"stage": "splitting", "rule": "recorded_finding", "facts": facts}}


def chance_of_equal_rows(codes: NDArray[np.int64], n_rows: int) -> float:
    """Estimate which fraction of rows would have an equal one among ``n_rows`` others by chance.

    The values of a row are taken to depend on each other in pairs at most: each column on the one before it that says
    most about it (after Chow and Liu, 1968, who choose the pairs by mutual information). An equal row then has the
    product of these frequencies, and the number of equal rows is taken for a Poisson variable. Frequencies are counted
    over the *different* rows and without the row itself, so that rows which are there twice do not make their own
    values frequent. Where more than two columns depend on each other, more rows are equal than this says.

    >>> rng = np.random.default_rng(0)
    >>> round(chance_of_equal_rows(rng.integers(0, 4, size=(1000, 4)), 1000), 2)
    0.98
    >>> twice = np.repeat(np.arange(1000), 2)
    >>> chance_of_equal_rows(np.column_stack([twice, twice % 2]), 2000)
    0.0

    :param codes: ``(n_sampled, n_columns) int64``, the place of each value among its column's different values, in a
        sample of the rows.
    :returns: in [0, 1]; 0 when the sample has fewer than two different rows.
    """
    # Frequencies are taken over different rows: copies would make the very values frequent that they repeat.
    distinct, n_equal = np.unique(codes, axis=0, return_counts=True)
    if len(distinct) < 2:
        return 0.0
    columns = sorted(distinct.T, key=lambda column: -int(column.max()))  # columns of many values say most
    frequency = np.ones(len(distinct))
    for place, column in enumerate(columns):
        # By itself, or given one of the columns before: the one that says most makes the values most frequent.
        others = [None, *columns[: min(place, _MAX_GIVEN)]]
        frequency *= max((_frequency(column, given) for given in others), key=lambda found: float(found.mean()))
        if not frequency.any():
            return 0.0
    # 1 - exp(-n f): the chance of at least one equal row among n, averaged over all rows of the sample.
    return float(np.average(-np.expm1(-n_rows * frequency), weights=n_equal))


def _frequency(column: NDArray[np.int64], given: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Return how frequent each row's value is among the other rows, or among those that have the same given value."""
    if given is None:
        return (np.bincount(column)[column] - 1) / (len(column) - 1)
    # Value and given value as one code: how often they come together, of how often the given one comes.
    _, pair, n_pairs = np.unique(column * (given.max() + 1) + given, return_inverse=True, return_counts=True)
    n_given = np.bincount(given)[given]
    return np.asarray((n_pairs[pair] - 1) / np.maximum(n_given - 1, 1))
