"""Checks, findings, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.values import Value
from airflow_mlops.core.wording import sentence_of
from airflow_mlops.core.wording.validation import found_and_expected
from airflow_mlops.errors import DataError, DataHaltedError, SpecError, bounded, bounded_lines, did_you_mean
from airflow_mlops.specs.validate import PolicySpec

__all__ = [
    "IN_THE_REST",
    "Check",
    "Finding",
    "Outcome",
    "Quarantine",
    "Severity",
    "ValidationReport",
    "Verdict",
    "action_of",
    "check_verdicts",
    "decide_action",
    "findings_of",
    "kwargs_as_facts",
    "make_finding",
    "reach_verdict",
]


class Severity(StrEnum):
    """How much a finding matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """What a finding, and in the end all of them, lead to; the gravest last.

    RETRAIN goes on and gives the retrain decision a reason. QUARANTINE sets the bad rows aside and goes on with
    the rest. UNDECIDED is no finding's: something could not be checked, which is neither a pass nor bad data. HALT
    ends the run.
    """

    PROCEED = "PROCEED"
    RETRAIN = "RETRAIN"
    QUARANTINE = "QUARANTINE"
    UNDECIDED = "UNDECIDED"
    HALT = "HALT"


IN_THE_REST = " (in the rest)"
"""Stands after the rule of what is found in the rows that a quarantine left."""

_GRAVITY = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Outcome(StrEnum):
    """What came of a check. An error while checking says nothing about the data."""

    MET = "MET"
    BROKEN = "BROKEN"
    UNCHECKED = "UNCHECKED"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation of a suite, and what came of it.

    :param rule: the expectation's type, in Great Expectations' words.
    :param found: what was observed, and the expectation's arguments; for a check that could not be made, why.
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
    found: Reason
    outcome: Outcome
    n_elements: int | None = None
    n_missing: int | None = None
    n_unexpected: int | None = None
    examples: tuple[str, ...] = ()
    engine: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    :param found: what was observed and what was required, in numbers, types and names.
    :param examples: at most a few of the values that broke the rule, as text.
    :param action: what it leads to, by the policy.
    """

    rule: str
    severity: Severity
    column: str | None = None
    found: Reason
    examples: tuple[str, ...] = ()
    action: Verdict = Verdict.HALT

    @property
    def reason(self) -> Reason:
        """The finding as others repeat it: with its rule, its examples and what it leads to."""
        facts = {**self.found.facts, "finding": self.rule, "examples": list(self.examples)}
        return replace(self.found, subject=self.column or "", verdict=self.action, facts=facts)

    def __str__(self) -> str:
        return sentence_of(self.reason).removesuffix(".")


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    """The rows that were set aside, each with the rules that it broke in the column ``broken_rules``."""

    uri: str
    n_rows: int


@dataclass(frozen=True, kw_only=True)
class ValidationReport(Value):
    """What a validation looked at, what it found, and what follows.

    :param snapshot_digest: of the snapshot that was looked at.
    :param reference_digest: of the data that the champion was trained on; empty where there is none.
    :param checks: the expectations of the suite; what was compared beside them stands in the findings alone.
    :param accepted: the snapshot that may be trained on: the one that was looked at, or what is left of it;
        ``None`` when the verdict is HALT or UNDECIDED.
    """

    schema_version: ClassVar[int] = 2

    snapshot_digest: str
    n_rows: int
    reference_digest: str = ""
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    accepted: DatasetSnapshot | None = None
    quarantine: Quarantine | None = None
    report_uri: str = ""

    @property
    def retrain_reasons(self) -> tuple[Reason, ...]:
        """What a shift in values gives the retrain decision; nothing when the data halted."""
        if self.accepted is None:
            return ()
        found = [finding for finding in self.findings if finding.action is Verdict.RETRAIN]
        if self.verdict is Verdict.QUARANTINE:  # what only the rows that were set aside showed is gone
            found = [finding for finding in found if finding.rule.endswith(IN_THE_REST) or finding.rule in _OF_REQUESTS]
        return tuple(finding.reason for finding in found)

    def require_accepted(self) -> DatasetSnapshot:
        """Return the snapshot that may be trained on, or stop the pipeline.

        :raises DataHaltedError: when the verdict is HALT.
        :raises DataError: when the verdict is UNDECIDED.
        """
        if self.accepted is not None:
            return self.accepted
        if self.verdict is Verdict.UNDECIDED:
            unchecked = [check for check in self.checks if check.outcome is Outcome.UNCHECKED]
            texts = [
                f"{check.rule} on {check.column or 'the table'}: {found_and_expected(check.found)[0]}"
                for check in unchecked
            ]
            raise DataError(
                f"{len(unchecked)} expectation(s) could not be checked, which says nothing about the data: "
                f"{bounded(texts, 3)}. Nothing was trained and the champion stays. Fix the suite. "
                f"Report: {self.report_uri}"
            )
        grave = [str(finding) for finding in self.findings if finding.action is Verdict.HALT]
        raise DataHaltedError(
            f"Data halted: {len(grave)} finding(s) that halt in {self.n_rows} rows ({self.snapshot_digest[:19]}, "
            f"{len(self.checks)} expectations).\n{bounded_lines(grave)}\n"
            f"Nothing was trained and the champion stays. Fix the source and run again. Report: {self.report_uri}"
        )

    @classmethod
    def _upgrade(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Read version 1, in which what was found and expected were texts."""
        upgraded = {
            name: [_upgrade_texts(each) for each in fields[name]]
            for name in ("checks", "findings")
            if isinstance(fields.get(name), list | tuple)
        }
        return {**fields, **upgraded}


def _upgrade_texts(entry: Any) -> Any:
    if not isinstance(entry, dict) or not {"observed", "expected"} <= set(entry):
        return entry
    facts = {"observed": entry["observed"], "expected": entry["expected"]}
    rest = {name: value for name, value in entry.items() if name not in facts}
    return {**rest, "found": {"stage": "validation", "rule": "recorded", "facts": facts}}


_MAX_EXAMPLES = 3
_MAX_ITEMS, _MAX_TEXT = 100, 300
"""So much of an argument is kept; a set may have a million values, and its suite has them all."""

_OF_REQUESTS = ("serving_category_new", "serving_skew")
_SHIFTS = ("category_new", "timestamp_order", "value_range", *_OF_REQUESTS)


def decide_action(
    *, rule: str, column: str | None, severity: Severity, policy: PolicySpec, on_failure: str | None = None
) -> Verdict:
    """Return what a finding leads to.

    :param on_failure: what the expectation itself says, which counts before the policy.
    """
    said = on_failure or policy.rules.get(f"{rule}:{column}") or policy.rules.get(rule)
    if said:
        return Verdict(said)
    if rule in _SHIFTS and severity is Severity.WARNING:
        return Verdict.RETRAIN
    return Verdict(getattr(policy, severity.value))


def action_of(check: Check, expectation: Mapping[str, Any], policy: PolicySpec) -> Verdict:
    """Return what it leads to when a check is broken, which its expectation may say itself."""
    return decide_action(
        rule=check.rule,
        column=check.column,
        severity=check.severity,
        policy=policy,
        on_failure=(expectation.get("meta") or {}).get("on_failure"),
    )


def make_finding(
    found: Reason,
    policy: PolicySpec,
    severity: Severity = Severity.CRITICAL,
    examples: Sequence[str] = (),
) -> Finding:
    """Return a finding that is made beside the suite, with a few of its examples and with what it leads to.

    :param found: of the rule that the finding has its name from, and of a column as its subject, if it is about one.
    """
    column = found.subject or None
    return Finding(
        rule=found.rule,
        severity=severity,
        column=column,
        found=found,
        examples=tuple(text[:80] for text in examples[:_MAX_EXAMPLES]),
        action=decide_action(rule=found.rule, column=column, severity=severity, policy=policy),
    )


def kwargs_as_facts(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an expectation's arguments, without the columns that it is about, as JSON of bounded size.

    >>> kwargs_as_facts({"column": "n", "max_value": 10, "value_set": range(3)})
    {'max_value': 10, 'value_set': [0, 1, 2]}
    """
    about = ("column", "column_A", "column_B")
    return {key: _as_json(value) for key, value in kwargs.items() if key not in about}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in list(value.items())[:_MAX_ITEMS]}
    if isinstance(value, list | tuple | range):
        return [_as_json(each) for each in value[:_MAX_ITEMS]]
    return str(value)[:_MAX_TEXT]


def findings_of(
    checks: Sequence[Check], expectations: Sequence[Mapping[str, Any]], policy: PolicySpec
) -> tuple[Finding, ...]:
    """Return a finding for each check that is broken, with what it leads to.

    :param expectations: the entries of the suite that the checks were made by, in the same order.
    """
    return tuple(
        Finding(
            rule=check.rule,
            severity=check.severity,
            column=check.column,
            found=check.found,
            examples=check.examples,
            action=action_of(check, expectation, policy),
        )
        for check, expectation in zip(checks, expectations, strict=True)
        if check.outcome is Outcome.BROKEN
    )


def reach_verdict(findings: Sequence[Finding], checks: Sequence[Check] = ()) -> Verdict:
    """Return the gravest of what the findings lead to; PROCEED when there is none.

    A check that could not be made leaves it undecided, unless something halts in any case.
    """
    actions = [finding.action for finding in findings]
    actions += [Verdict.UNDECIDED] if any(check.outcome is Outcome.UNCHECKED for check in checks) else []
    return max(actions, key=_GRAVITY.__getitem__, default=Verdict.PROCEED)


def check_verdicts(names: Iterable[str]) -> None:
    """See that the keys of a mapping are verdicts.

    :raises SpecError: when one is not.
    """
    for name in names:
        if name not in _GRAVITY:
            known = [verdict.value for verdict in Verdict]
            raise SpecError(
                f"branches: {name!r} is no verdict.{did_you_mean(name, known)} There are: {bounded(known)}."
            )
