"""Quarantine: bad rows to a side file, the rest to a snapshot of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlops.adapters import arrow, ibis_rules
from airflow_mlops.adapters.storage import Storage, write_document
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.profile import DatasetProfile
from airflow_mlops.core.validate import Check, Finding, Outcome, Quarantine, Severity, Verdict, action_of
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import SpecError, bounded
from airflow_mlops.specs.validate import PolicySpec
from airflow_mlops.steps._platform import folder_name, short
from airflow_mlops.steps.data import store_rows

__all__ = ["rules_to_part_by", "set_aside", "useless_quarantine"]

Expectations = Sequence[Mapping[str, Any]]


def rules_to_part_by(
    checks: Sequence[Check],
    expectations: Expectations,
    findings: Sequence[Finding],
    policy: PolicySpec,
    reference: DatasetProfile | None,
) -> Expectations:
    """Return the rules whose bad rows are to be set aside: the broken ones that lead to QUARANTINE.

    :param expectations: the suite that the checks were made by, in the same order.
    :param findings: what was found beside the suite may lead to it as well, where it is about single rows.
    :param reference: the profile of what the champion learnt from, by which a category is new.
    :raises SpecError: when something that is to lead to quarantine is not about single rows.
    """
    rules = [
        expectation
        for check, expectation in zip(checks, expectations, strict=True)
        if check.outcome is Outcome.BROKEN and action_of(check, expectation, policy) is Verdict.QUARANTINE
    ]
    unfit = [_name(rule["type"], ibis_rules.column_of(rule)) for rule in rules if not ibis_rules.is_row_wise(rule)]
    for finding in findings:
        if finding.action is not Verdict.QUARANTINE or finding.rule.startswith("expect_"):
            continue
        made = _as_expectation(finding, reference)
        if made is None:
            unfit.append(_name(finding.rule, finding.column))
        else:
            rules.append(made)
    if unfit:
        raise SpecError(
            f"validation.policy: {bounded(unfit)} can't lead to QUARANTINE: no single row breaks it, or no engine can "
            f"tell which. Choose HALT, RETRAIN or PROCEED for it. Nothing was set aside."
        )
    return rules


def _as_expectation(finding: Finding, reference: DatasetProfile | None) -> Mapping[str, Any] | None:
    """Return the rule that the rows of a finding break, in Great Expectations' words; ``None`` where there is none."""
    if finding.rule == "timestamp_null":
        return {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": finding.column}}
    columns = reference.columns if reference and finding.rule == "category_new" else ()
    for column in columns:
        if column.name == finding.column:
            known = [name.removeprefix("=") for name in column.counts if name.startswith("=")]
            kwargs = {"column": column.name, "value_set": known}
            return {"type": "expect_column_values_to_be_in_set", "kwargs": kwargs}
    return None


def _name(rule: str, column: str | None) -> str:
    return f"{rule}:{column}" if column else rule


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


def useless_quarantine(quarantine: Quarantine, snapshot: DatasetSnapshot, max_fraction: float) -> Finding:
    """Say that a quarantine does not help: too many rows are bad, or none of them by itself."""
    fraction = quarantine.n_rows / snapshot.n_rows
    return Finding(
        rule="quarantine",
        severity=Severity.CRITICAL,
        observed=f"{quarantine.n_rows} of {snapshot.n_rows} rows ({fraction:.2%}) are bad",
        expected=f"at least one, at most {max_fraction:.2%}",
    )
