"""Validation: is the data what it should be."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlops.adapters import arrow, duckdb_engine, great_expectations, ibis_rules
from airflow_mlops.adapters.user_code import load
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.validation.against_champion import (
    check_order,
    check_timestamp,
    compare_with_reference,
    compare_with_requests,
    empty_columns,
    missing_columns,
    no_requests,
    nothing_checked,
)
from airflow_mlops.core.validation.column_values import bins_to_count
from airflow_mlops.core.validation.findings import (
    IN_THE_REST,
    Check,
    Finding,
    Quarantine,
    ValidationReport,
    Verdict,
    findings_of,
    reach_verdict,
)
from airflow_mlops.core.validation.suite import Tolerances
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import DataError, NoRowsError, SpecError
from airflow_mlops.pages.validation import validation_page
from airflow_mlops.specs.validate import ValidationSpec
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.snapshot import (
    check_snapshot,
    load_profile,
    load_snapshot,
    note_verdict,
    snapshot_dataset,
)
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion
from airflow_mlops.steps.validation._policy import check_policy
from airflow_mlops.steps.validation.quarantine import (
    halt_without_rows,
    impossible_quarantine,
    rules_to_part_by,
    set_aside,
    useless_quarantine,
)
from airflow_mlops.steps.validation.suite import infer_suite

__all__ = ["validate_dataset"]

log = logging.getLogger(__name__)

Expectations = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class _Reference:
    """What the champion was trained on."""

    snapshot: DatasetSnapshot
    profile: DatasetProfile


def validate_dataset(
    snapshot: DatasetSnapshot,
    validation: ValidationSpec,
    *,
    model_name: str | None = None,
    connections: Connections | None = None,
    platform: Platform,
    run: PipelineRun,
) -> ValidationReport:
    """Check a snapshot against a suite, and against the data that the champion was trained on.

    Rules that the engine can answer are one scan of the Parquet file; the rest runs in Great Expectations. The
    report is stored before it is returned; the caller decides by ``report.require_accepted()``.

    :param model_name: whose champion's data to compare with; ``None`` to run the suite alone.
    :param connections: opens the connection that ``validation.skew`` may name.
    :raises SpecError: when the suite can't be used.
    :raises IntegrityError: when the snapshot's file is not the one that was verified.
    """
    check_snapshot(snapshot)
    reference = _reference(snapshot, model_name, platform)
    expectations = _suite(validation, reference, platform)
    known = (*snapshot.columns, *(reference.snapshot.columns if reference else ()))
    check_policy(validation.policy, (column.name for column in known), expectations)
    checks, findings = _look(snapshot, expectations, validation, reference, platform)
    findings += _compare_with_requests(snapshot, validation, connections, platform, run)
    verdict = reach_verdict(findings, checks)
    rest, quarantine = snapshot, None
    if verdict is Verdict.QUARANTINE:
        rest, quarantine, more = _part(snapshot, expectations, checks, findings, validation, reference, platform, run)
        verdict = Verdict.QUARANTINE if reach_verdict(more) in (Verdict.PROCEED, Verdict.RETRAIN) else Verdict.HALT
        findings += more
    is_accepted = verdict not in (Verdict.HALT, Verdict.UNDECIDED)
    report = ValidationReport(
        snapshot_digest=snapshot.digest,
        n_rows=snapshot.n_rows,
        reference_digest=reference.snapshot.digest if reference else "",
        checks=tuple(checks),
        findings=findings,
        verdict=verdict,
        accepted=rest if is_accepted else None,
        quarantine=quarantine,
        report_uri=platform.report_uri(run, "validation"),
    )
    profile = load_profile(platform.storage, snapshot.dataset, snapshot.digest)
    platform.record(run, "validation", report, validation_page(report, snapshot, profile))
    for each in {snapshot.digest: snapshot, rest.digest: rest}.values():
        note_verdict(platform.storage, each, is_accepted=is_accepted, report_uri=report.report_uri)
    log.info("validation: verdict=%s n_checks=%d n_findings=%d", verdict, len(checks), len(findings))
    return report


def _part(
    snapshot: DatasetSnapshot,
    expectations: Expectations,
    checks: Sequence[Check],
    findings: Sequence[Finding],
    validation: ValidationSpec,
    reference: _Reference | None,
    platform: Platform,
    run: PipelineRun,
) -> tuple[DatasetSnapshot, Quarantine | None, tuple[Finding, ...]]:
    """Set the bad rows aside, and look at the rest as at a batch of its own.

    :returns: the rest, what was set aside, and what was found in the rest; or that there is no rest to go on with.
    """
    policy = validation.policy
    rules = rules_to_part_by(
        checks,
        expectations,
        findings,
        policy,
        columns=snapshot.columns,
        reference=reference.profile if reference else None,
    )
    try:
        quarantine, rest = set_aside(
            snapshot, rules, max_fraction=policy.max_quarantined_fraction, storage=platform.storage, run=run
        )
    except DataError as error:  # the verdict is recorded all the same
        return snapshot, None, (impossible_quarantine(error),)
    if rest is None:
        return snapshot, quarantine, (useless_quarantine(quarantine, snapshot, policy.max_quarantined_fraction),)
    _, found = _look(rest, expectations, validation, reference, platform)
    more = tuple(dataclasses.replace(finding, rule=finding.rule + IN_THE_REST) for finding in found)
    return rest, quarantine, more


def _reference(snapshot: DatasetSnapshot, model_name: str | None, platform: Platform) -> _Reference | None:
    champion = current_champion(model_name, platform=platform) if model_name else None
    if champion is None:
        return None
    where = (platform.storage, snapshot.dataset, champion.snapshot_digest)
    return _Reference(load_snapshot(*where), load_profile(*where))


def _suite(validation: ValidationSpec, reference: _Reference | None, platform: Platform) -> Expectations:
    """Put together what the spec names: a file, a list, what a function gives, what is inferred."""
    expectations = list(validation.expectations)
    if validation.suite:
        expectations += great_expectations.read_suite(validation.suite)
    if validation.function:
        expectations += great_expectations.suite_of(_call(validation.function), validation.function)
    if validation.inferred and reference:
        allowed = Tolerances(size_factor=validation.max_size_factor)
        expectations += infer_suite(reference.snapshot, storage=platform.storage, tolerances=allowed)["expectations"]
    great_expectations.check_suite(expectations)
    return expectations


def _call(function: str) -> Any:
    make = load.load_object(function)
    try:
        return make()
    except Exception as error:
        raise SpecError(
            f"validation.function {function} raised {type(error).__name__}: {error}. Nothing was checked or trained."
        ) from error


def _look(
    snapshot: DatasetSnapshot,
    expectations: Expectations,
    validation: ValidationSpec,
    reference: _Reference | None,
    platform: Platform,
) -> tuple[list[Check], tuple[Finding, ...]]:
    """Make the checks of the suite and the comparisons, and return them with what they found."""
    profile = load_profile(platform.storage, snapshot.dataset, snapshot.digest)
    findings = check_timestamp(snapshot, validation.policy)
    if not expectations and reference is None:
        findings += (nothing_checked(validation.policy),)
    if reference:
        findings += _compare(snapshot, profile, validation, reference)
    else:
        findings += check_order(snapshot, profile, validation.policy)
    named = [name for entry in expectations for name in ibis_rules.columns_of(entry)]
    findings += missing_columns(named, findings, snapshot, validation.policy)
    findings += empty_columns(_with_values(expectations), findings, profile, validation.policy)
    checks = _run_suite(snapshot, expectations)
    findings += findings_of(checks, expectations, validation.policy)
    findings = halt_without_rows(
        findings, expectations, columns=snapshot.columns, reference=reference.profile if reference else None
    )
    return checks, tuple(_with_examples(finding, snapshot) for finding in findings)


def _compare(
    snapshot: DatasetSnapshot, profile: DatasetProfile, validation: ValidationSpec, reference: _Reference
) -> tuple[Finding, ...]:
    """Compare with the champion's data; rows are read only where the profiles leave open how many are new."""
    bins = bins_to_count(reference=reference.profile, current=profile, validation=validation)
    return compare_with_reference(
        reference=reference.snapshot,
        reference_profile=reference.profile,
        current=snapshot,
        current_profile=profile,
        counted=duckdb_engine.count_columns(snapshot.data_uri, bins)[1] if bins else (),
        validation=validation,
    )


def _with_values(expectations: Expectations) -> list[str]:
    """Return the columns that the suite says something about the values of, whatever their type or their absence."""
    silent = ("expect_column_to_exist", "expect_column_values_to_be_null", "expect_column_values_to_not_be_null")
    kinds = ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list")
    return [
        name
        for entry in expectations
        if entry["type"] not in (*silent, *kinds)
        for name in ibis_rules.columns_of(entry)
    ]


def _run_suite(snapshot: DatasetSnapshot, expectations: Expectations) -> list[Check]:
    """Let the engine answer what it can in one scan, and Great Expectations the rest, on the columns it names."""
    checks = ibis_rules.check_rules(snapshot.data_uri, expectations)
    rest = [index for index, check in enumerate(checks) if check is None]
    if rest:
        from airflow_mlops.adapters.great_expectations.run import run_suite  # it takes seconds to import

        left = [expectations[index] for index in rest]
        frame = arrow.read_frame(snapshot.data_uri, columns=great_expectations.columns_of(left, snapshot.columns))
        for index, check in zip(rest, run_suite(frame, left), strict=True):
            checks[index] = check
    return [check for check in checks if check is not None]


def _compare_with_requests(
    snapshot: DatasetSnapshot,
    validation: ValidationSpec,
    connections: Connections | None,
    platform: Platform,
    run: PipelineRun,
) -> tuple[Finding, ...]:
    """Compare with what the model is asked where it serves, which is kept as a snapshot too: it is evidence."""
    if validation.skew is None:
        return ()
    try:
        asked = snapshot_dataset(
            validation.skew.data,
            dataset=f"{snapshot.dataset}.serving",
            storage=platform.storage,
            connections=connections,
            run=run,
        )
    except NoRowsError:
        return (no_requests(validation.skew, validation.policy),)
    training = load_profile(platform.storage, snapshot.dataset, snapshot.digest)
    present = {column.name for column in asked.columns}
    bins = [column for column in training.columns if column.name in present]
    _, counted = duckdb_engine.count_columns(asked.data_uri, bins)
    return compare_with_requests(
        training=snapshot,
        training_profile=training,
        serving=asked,
        serving_profile=load_profile(platform.storage, asked.dataset, asked.digest),
        serving_counts=counted,
        spec=validation.skew,
        validation=validation,
    )


def _with_examples(finding: Finding, snapshot: DatasetSnapshot) -> Finding:
    """Add values that are not of the type that was expected, where a column became text."""
    found = finding.found
    if finding.rule not in ("column_retyped", "timestamp_type") or "string" not in str(found.observed):
        return finding
    wanted = str(found.required) if found.required else "timestamp"
    examples = duckdb_engine.examples_that_are_not(snapshot.data_uri, str(finding.column), wanted)
    return dataclasses.replace(finding, examples=examples)
