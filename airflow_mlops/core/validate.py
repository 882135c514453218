"""Findings, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_mlops.core.data import Column
from airflow_mlops.core.values import Value
from airflow_mlops.errors import DataHaltedError, bounded, did_you_mean

__all__ = [
    "Check",
    "Finding",
    "Outcome",
    "Severity",
    "ValidationReport",
    "Verdict",
    "compare_schemas",
    "reach_verdict",
]


class Severity(StrEnum):
    """How much a finding matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """What the findings lead to."""

    PROCEED = "PROCEED"
    HALT = "HALT"


class Outcome(StrEnum):
    """What came of a check. An error while checking says nothing about the data."""

    MET = "MET"
    BROKEN = "BROKEN"
    UNCHECKED = "UNCHECKED"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation of a suite, and what came of it.

    :param rule: the expectation's type, in Great Expectations' words.
    :param expected: its arguments, as text.
    :param observed: what was found instead; for a check that could not be made, why.
    :param n_elements: how many values were looked at, missing ones included; ``None`` where the rule is not about
        single values.
    :param n_missing: how many of them are missing (NULL or NaN), which the rule leaves out unless it is about them.
    :param n_unexpected: how many break the rule; ``None`` where it is not about single values.
    :param examples: at most a few of the values that broke the rule, as text.
    :param engine: what made the check, ``DuckDB`` or ``Great Expectations``.
    """

    rule: str
    column: str | None = None
    severity: Severity
    expected: str
    outcome: Outcome
    observed: str
    n_elements: int | None = None
    n_missing: int | None = None
    n_unexpected: int | None = None
    examples: tuple[str, ...] = ()
    engine: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    :param examples: at most a few of the values that broke the rule, as text.
    """

    rule: str
    severity: Severity
    column: str | None = None
    observed: str
    expected: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        shown = f" (for example {bounded(self.examples, 3)})" if self.examples else ""
        return f"{where}{self.rule}: found {self.observed}, expected {self.expected}{shown}"


@dataclass(frozen=True, kw_only=True)
class ValidationReport(Value):
    """What a validation looked at, what it found, and what follows."""

    snapshot_digest: str
    n_rows: int
    n_checks: int
    findings: tuple[Finding, ...]
    verdict: Verdict
    report_uri: str = ""

    def require_proceed(self) -> None:
        """Go on, or stop the pipeline.

        :raises DataHaltedError: when the verdict is HALT.
        """
        if self.verdict is Verdict.PROCEED:
            return
        critical = [str(f) for f in self.findings if f.severity is Severity.CRITICAL]
        shown = "\n".join(f"  - {text}" for text in critical[:10])
        more = f"\n  - and {len(critical) - 10} more" if len(critical) > 10 else ""
        raise DataHaltedError(
            f"Data halted: {len(critical)} critical finding(s) in {self.n_rows} rows "
            f"({self.snapshot_digest[:19]}, {self.n_checks} checks).\n{shown}{more}\n"
            f"Nothing was trained and the champion stays. Mend the source and run again. Report: {self.report_uri}"
        )


def reach_verdict(findings: Sequence[Finding]) -> Verdict:
    """Turn findings into one verdict: a critical one halts, everything else is only reported."""
    if any(finding.severity is Severity.CRITICAL for finding in findings):
        return Verdict.HALT
    return Verdict.PROCEED


def compare_schemas(*, reference: Sequence[Column], current: Sequence[Column]) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion learnt from.

    A column that is gone, new or of another type is critical: models read columns by name, and a new
    name next to a missing one is how a rename looks.

    :returns: the findings, in the order of the reference, new columns last.
    """
    found = {column.name: column for column in current}
    known = {column.name for column in reference}
    findings = []
    for column in reference:
        if column.name not in found:
            new = [name for name in found if name not in known]
            hint = did_you_mean(column.name, new)
            findings.append(_schema_finding("column_missing", column.name, f"no such column.{hint}", column.type))
        elif found[column.name].type != column.type:
            observed = f"type {found[column.name].type}"
            findings.append(_schema_finding("column_retyped", column.name, observed, f"type {column.type}"))
    findings += [
        _schema_finding("column_new", column.name, f"type {column.type}", "no such column")
        for column in current
        if column.name not in known
    ]
    return tuple(findings)


def _schema_finding(rule: str, column: str, observed: str, expected: str) -> Finding:
    return Finding(rule=rule, severity=Severity.CRITICAL, column=column, observed=observed, expected=expected)
