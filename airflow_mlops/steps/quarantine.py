"""Quarantine: bad rows to a side file, the rest to a snapshot of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlops.adapters import arrow, ibis_rules
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.profile import DatasetProfile
from airflow_mlops.core.validate import Finding, Quarantine, Severity, Verdict
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import SpecError, bounded
from airflow_mlops.steps._platform import folder_name, short
from airflow_mlops.steps.data import store_rows

__all__ = ["rules_to_part_by", "set_aside", "too_many_bad_rows"]

Expectations = Sequence[Mapping[str, Any]]


def rules_to_part_by(
    expectations: Expectations, findings: Sequence[Finding], reference: DatasetProfile | None
) -> Expectations:
    """Return the rules whose bad rows are to be set aside.

    :param expectations: the suite.
    :param reference: the profile of what the champion learnt from, by which a category is new.
    :raises SpecError: when one of the findings that are to lead to quarantine is not about single rows.
    """
    wanted = {(finding.rule, finding.column) for finding in findings if finding.action is Verdict.QUARANTINE}
    rules = {
        (entry["type"], ibis_rules.column_of(entry)): entry for entry in expectations if ibis_rules.is_row_wise(entry)
    }
    for column in reference.columns if reference else ():
        rules["category_new", column.name] = {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": column.name, "value_set": [n[1:] for n in column.counts if n.startswith("=")]},
        }
    unfit = wanted - set(rules)
    if unfit:
        names = [f"{rule}:{column}" if column else rule for rule, column in sorted(unfit, key=str)]
        raise SpecError(
            f"validation.policy: {bounded(names)} can't lead to QUARANTINE: no single row breaks it, or no engine can "
            f"tell which. Choose HALT, RETRAIN or PROCEED for it. Nothing was set aside."
        )
    return [rules[each] for each in sorted(wanted, key=str)]


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
    :returns: what was set aside, and what is left; ``None`` if too much of it was bad.
    """
    place = ("quarantine", folder_name(snapshot.dataset), short(digest_of([snapshot.digest, list(rules)])))
    with storage.staging(*place[:-1]) as staged, ibis_rules.bad_rows(snapshot.data_uri, rules) as rows:
        with arrow.ParquetDigestWriter(staged / "rows.parquet", rows.schema) as writer:
            for batch in rows:
                writer.write(batch)
        folder = storage.publish(staged, *place)
    quarantine = Quarantine(uri=f"{folder}/rows.parquet", n_rows=writer.n_rows)
    if quarantine.n_rows > max_fraction * snapshot.n_rows or quarantine.n_rows == snapshot.n_rows:
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


def too_many_bad_rows(quarantine: Quarantine, snapshot: DatasetSnapshot, max_fraction: float) -> Finding:
    """Say that what is left after a quarantine is not enough to go on with."""
    fraction = quarantine.n_rows / snapshot.n_rows
    return Finding(
        rule="quarantine",
        severity=Severity.CRITICAL,
        observed=f"{quarantine.n_rows} of {snapshot.n_rows} rows ({fraction:.2%}) are bad",
        expected=f"at most {max_fraction:.2%}",
    )
