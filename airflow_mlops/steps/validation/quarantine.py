"""Quarantine: bad rows to a side file, the rest to a snapshot of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlops.adapters import arrow, ibis_rules
from airflow_mlops.adapters.storage.store import Storage, write_document
from airflow_mlops.core.data.profile import OTHER, DatasetProfile
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.column_values import known_values, near_range
from airflow_mlops.core.validation.findings import Check, Finding, Outcome, Quarantine, Severity, Verdict, action_of
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError
from airflow_mlops.specs.validate import PolicySpec
from airflow_mlops.steps.data.snapshot import store_rows
from airflow_mlops.steps.platform import folder_name, short
from airflow_mlops.steps.validation._policy import ROW_RULES

__all__ = ["halt_without_rows", "impossible_quarantine", "rules_to_part_by", "set_aside", "useless_quarantine"]

Expectations = Sequence[Mapping[str, Any]]


def halt_without_rows(
    findings: Sequence[Finding],
    expectations: Expectations,
    *,
    columns: Sequence[Column],
    reference: DatasetProfile | None,
) -> tuple[Finding, ...]:
    """Return the findings, of which those halt that are to lead to quarantine and have no rows to set aside.

    :param columns: of the batch.
    :param reference: the profile of what the champion was trained on, by which values are new.
    """
    row_wise = {(e["type"], ibis_rules.column_of(e)) for e in expectations if ibis_rules.is_row_wise(e)}
    return tuple(
        finding
        if finding.action is not Verdict.QUARANTINE
        or (finding.rule, finding.column) in row_wise
        or _as_expectation(finding, columns, reference)
        else dataclasses.replace(
            finding,
            action=Verdict.HALT,
            found=dataclasses.replace(finding.found, facts={**finding.found.facts, "is_of_no_row": True}),
        )
        for finding in findings
    )


def rules_to_part_by(
    checks: Sequence[Check],
    expectations: Expectations,
    findings: Sequence[Finding],
    policy: PolicySpec,
    *,
    columns: Sequence[Column],
    reference: DatasetProfile | None,
) -> Expectations:
    """Return the rules whose bad rows are to be set aside: the broken ones that lead to QUARANTINE.

    :param expectations: the suite that the checks were made by, in the same order.
    :param findings: what was found beside the suite may lead to it as well, where it is about single rows.
    :param columns: of the batch.
    :param reference: the profile of what the champion was trained on, by which values are new.
    """
    rules = [
        expectation
        for check, expectation in zip(checks, expectations, strict=True)
        if check.outcome is Outcome.BROKEN
        and action_of(check, expectation, policy) is Verdict.QUARANTINE
        and ibis_rules.is_row_wise(expectation)
    ]
    made = (_as_expectation(f, columns, reference) for f in findings if f.action is Verdict.QUARANTINE)
    return [*rules, *(rule for rule in made if rule)]


def _as_expectation(
    finding: Finding, columns: Sequence[Column], reference: DatasetProfile | None
) -> Mapping[str, Any] | None:
    """Return the rule that the rows of a finding break, in Great Expectations' words; ``None`` where there is none."""
    if finding.rule == "timestamp_null":
        return {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": finding.column}}
    was = next((c for c in reference.columns if c.name == finding.column), None) if reference else None
    if was is None or finding.rule not in ROW_RULES:
        return None
    if finding.rule == "value_range":
        low, high = near_range(was) or (None, None)
        kwargs = {"column": was.name, "min_value": low, "max_value": high}
        return {"type": "expect_column_values_to_be_between", "kwargs": kwargs}
    if OTHER in was.counts:
        return None
    is_boolean = any(column.name == was.name and column.type == "bool" for column in columns)
    known = [name.removeprefix("=") for name in was.counts if name.startswith("=")]
    values = known_values(was) or ([name == "true" for name in known] if is_boolean else known)
    return {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": was.name, "value_set": list(values)}}


def set_aside(
    snapshot: DatasetSnapshot,
    rules: Expectations,
    *,
    max_fraction: float,
    storage: Storage,
    run: PipelineRun,
) -> tuple[Quarantine, DatasetSnapshot | None]:
    """Part the rows of a snapshot by rules.

    :param max_fraction: of the rows, that may be bad.
    :returns: what was set aside, and what is left; ``None`` if too much of it was bad, or no bad row was found.
    """
    place = ("quarantine", folder_name(snapshot.dataset), short(digest_of([snapshot.digest, list(rules)])))
    with storage.staging(*place[:-1]) as staged, ibis_rules.bad_rows(snapshot.data_uri, rules) as rows:
        with arrow.ParquetDigestWriter(staged / "rows.parquet", rows.schema) as writer:
            for batch in rows:
                writer.write(batch)
        write_document(staged / "quarantine.json", {"snapshot_digest": snapshot.digest})
        folder = storage.publish(staged, *place)
    quarantine = Quarantine(uri=f"{folder}/rows.parquet", n_rows=writer.n_rows)
    if not 0 < quarantine.n_rows <= max_fraction * snapshot.n_rows or quarantine.n_rows == snapshot.n_rows:
        return quarantine, None
    with ibis_rules.good_rows(snapshot.data_uri, rules) as rows:
        rest = store_rows(
            rows,
            dataset=snapshot.dataset,
            storage=storage,
            timestamp=snapshot.timestamp,
            source={**snapshot.source, "rest_of": snapshot.digest, "n_quarantined": quarantine.n_rows},
            run=run,
        )
    return quarantine, rest


def impossible_quarantine(error: DataError) -> Finding:
    """Say that the engine can't tell the bad rows from the good ones."""
    found = Reason(stage="validation", rule="quarantine", facts={"error": str(error)[:300]})
    return Finding(rule="quarantine", severity=Severity.CRITICAL, found=found)


def useless_quarantine(quarantine: Quarantine, snapshot: DatasetSnapshot, max_fraction: float) -> Finding:
    """Say that a quarantine does not help: too many rows are bad, or none of them by itself."""
    fraction = quarantine.n_rows / snapshot.n_rows
    found = Reason(
        stage="validation",
        rule="quarantine",
        setting="validation.policy.max_quarantined_fraction",
        observed=fraction,
        required=max_fraction,
        n=snapshot.n_rows,
        facts={"n_rows": quarantine.n_rows},
    )
    return Finding(rule="quarantine", severity=Severity.CRITICAL, found=found)
