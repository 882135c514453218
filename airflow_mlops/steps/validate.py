"""Validation: is the data what it should be."""

from __future__ import annotations

import dataclasses
import logging

from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.validate import Finding, Severity, ValidationReport, compare_schemas, reach_verdict
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.validate import ValidationSpec
from airflow_mlops.steps import pages
from airflow_mlops.steps._platform import Platform
from airflow_mlops.steps.data import load_snapshot
from airflow_mlops.steps.promote import current_champion

__all__ = ["validate_dataset"]

log = logging.getLogger(__name__)


def validate_dataset(
    snapshot: DatasetSnapshot,
    validation: ValidationSpec,
    *,
    model_name: str | None = None,
    platform: Platform,
    run: PipelineRun,
) -> ValidationReport:
    """Check a snapshot against a suite, and its columns against those that the champion learnt from.

    The report is stored before it is returned; the caller decides by ``report.require_proceed()``.

    :param model_name: whose champion's columns to compare with; ``None`` to run the suite alone.
    :raises SpecError: when the suite can't be used.
    :raises DataError: when an expectation could not be checked for a reason that is not in the data.
    """
    from airflow_mlops.adapters import great_expectations  # it takes seconds to import, and only this step needs it

    champion = current_champion(model_name, platform=platform) if model_name else None
    reference = load_snapshot(platform.storage, snapshot.dataset, champion.snapshot_digest) if champion else None
    expectations = great_expectations.read_suite(validation.suite) if validation.suite else validation.expectations
    findings = [*_check_timestamp(snapshot), *_compare_with(reference, snapshot)]
    present = {column.name for column in snapshot.columns}
    missing = {entry["kwargs"]["column"] for entry in expectations if "column" in entry.get("kwargs", {})} - present
    reported = {finding.column for finding in findings}
    findings += [_column_missing(name) for name in sorted(missing - reported)]

    frame = arrow.read_frame(snapshot.data_uri, snapshot.digest)
    answerable = [entry for entry in expectations if entry.get("kwargs", {}).get("column") not in missing]
    failed, unchecked = great_expectations.run_suite(frame, answerable) if answerable else ([], [])
    findings += failed
    broken = {finding.column for finding in findings if finding.severity is Severity.CRITICAL}
    findings += [finding for finding in unchecked if finding.column in broken]

    name = "validation"
    report = ValidationReport(
        snapshot_digest=snapshot.digest,
        n_rows=snapshot.n_rows,
        n_checks=len(expectations) + (len(reference.columns) if reference else 0) + (1 if snapshot.timestamp else 0),
        findings=tuple(_with_examples(finding, snapshot) for finding in findings),
        verdict=reach_verdict(findings),
        report_uri=platform.report_uri(run, name),
    )
    platform.record(run, name, report, pages.validation_page(report, snapshot))
    log.info("validation: verdict=%s n_checks=%d n_findings=%d", report.verdict, report.n_checks, len(findings))
    unexplained = [finding for finding in unchecked if finding.column not in broken]
    if unexplained:
        raise DataError(
            f"{len(unexplained)} expectation(s) could not be checked, which says nothing about the data: "
            f"{bounded(map(str, unexplained), 3)}. Nothing was trained. Mend the suite. Report: {report.report_uri}"
        )
    return report


def _check_timestamp(snapshot: DatasetSnapshot) -> list[Finding]:
    found = next((column for column in snapshot.columns if column.name == snapshot.timestamp), None)
    if found is None:
        return []
    if not found.type.startswith(("timestamp", "date")):
        return [_critical("timestamp_type", found.name, f"type {found.type}", "a date or a timestamp")]
    if found.n_null:
        return [_critical("timestamp_null", found.name, f"{found.n_null} of {snapshot.n_rows} rows null", "none")]
    return []


def _compare_with(reference: DatasetSnapshot | None, snapshot: DatasetSnapshot) -> tuple[Finding, ...]:
    return compare_schemas(reference=reference.columns, current=snapshot.columns) if reference else ()


def _column_missing(name: str) -> Finding:
    return _critical("column_missing", name, "no such column", "the column that the suite checks")


def _critical(rule: str, column: str, observed: str, expected: str) -> Finding:
    return Finding(rule=rule, severity=Severity.CRITICAL, column=column, observed=observed, expected=expected)


def _with_examples(finding: Finding, snapshot: DatasetSnapshot) -> Finding:
    """Add values that are not of the type that was expected, where a column became text."""
    if finding.rule not in ("column_retyped", "timestamp_type") or "string" not in finding.observed:
        return finding
    wanted = finding.expected.removeprefix("type ").replace("a date or a ", "")
    examples = duckdb_engine.examples_that_are_not(snapshot.data_uri, str(finding.column), wanted)
    return dataclasses.replace(finding, examples=examples)
