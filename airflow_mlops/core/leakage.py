"""Leakage: what a model learns from and will not have when it predicts."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlops.core.values import Value
from airflow_mlops.errors import LeakageError, bounded

__all__ = ["LeakageFinding", "LeakageReport"]


@dataclass(frozen=True, kw_only=True)
class LeakageFinding:
    """One way in which the answer leaks.

    :param rule: ``shared_rows``, ``shared_groups``, ``reproduces_target``, ``determines_class``,
        ``combination_reproduces_target``, ``known_too_late``, ``known_at_null`` or ``prediction_time_null``.
    :param columns: what leaks.
    :param examples: a few of them, as text.
    :param advice: what to do.
    """

    rule: str
    columns: tuple[str, ...]
    observed: str
    expected: str
    examples: tuple[str, ...] = ()
    advice: str

    def __str__(self) -> str:
        shown = f" (for example {bounded(self.examples, 3)})" if self.examples else ""
        return (
            f"{', '.join(self.columns[:10])}: {self.rule}: found {self.observed}, expected {self.expected}{shown}. "
            f"{self.advice}"
        )


@dataclass(frozen=True, kw_only=True)
class LeakageReport(Value):
    """What a leakage check looked at, and what it found.

    :param n_sampled: how many training rows the features were judged on; the parts are compared on all rows.
    :param n_checks: how many comparisons were made.
    :param notes: what could not be judged, and why.
    """

    snapshot_digest: str
    split_digest: str
    target: str
    n_train: int
    n_test: int
    n_sampled: int
    n_checks: int
    findings: tuple[LeakageFinding, ...]
    notes: tuple[str, ...] = ()
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
        shown = "\n".join(f"  - {finding}" for finding in self.findings[:10])
        more = f"\n  - and {len(self.findings) - 10} more" if len(self.findings) > 10 else ""
        raise LeakageError(
            f"Leakage: {len(self.findings)} finding(s) in {self.n_train} training and {self.n_test} held-back rows "
            f"({self.snapshot_digest[:19]}, target {self.target!r}).\n{shown}{more}\n"
            f"Nothing was trained and the champion stays. Report: {self.report_uri}"
        )
