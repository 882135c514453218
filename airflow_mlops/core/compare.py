"""A batch against what the champion learnt from, and against what it is asked where it serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from airflow_mlops.core.data import Column, DatasetSnapshot
from airflow_mlops.core.monitor import population_stability_index
from airflow_mlops.core.profile import OTHER, ColumnProfile, DatasetProfile
from airflow_mlops.core.validate import Finding, Severity, decide_action
from airflow_mlops.errors import bounded, did_you_mean
from airflow_mlops.specs.validate import PolicySpec, ServingSpec, ValidationSpec

__all__ = ["check_timestamp", "compare_schemas", "compare_with_reference", "compare_with_serving", "missing_columns"]

_MAX_EXAMPLES = 3


def check_timestamp(snapshot: DatasetSnapshot, policy: PolicySpec) -> tuple[Finding, ...]:
    """Find what makes a snapshot unusable, whatever it is compared with: its timestamps."""
    found = next((column for column in snapshot.columns if column.name == snapshot.timestamp), None)
    if found is None:
        return ()
    if not found.type.startswith(("timestamp", "date")):
        return (_finding("timestamp_type", found.name, f"type {found.type}", "a date or a timestamp", policy),)
    if found.n_null:
        observed = f"{found.n_null} of {snapshot.n_rows} rows null"
        return (_finding("timestamp_null", found.name, observed, "none", policy),)
    return ()


def missing_columns(
    wanted: Iterable[str], found: Sequence[Finding], snapshot: DatasetSnapshot, policy: PolicySpec
) -> tuple[Finding, ...]:
    """Find the columns that a suite is about and that are not there.

    :param wanted: the columns' names.
    :param found: earlier findings; a column that one of them is about is not reported twice.
    """
    present = [column.name for column in snapshot.columns]
    reported = {finding.column for finding in found}
    return tuple(
        _finding(
            "column_missing",
            name,
            f"no such column{_perhaps(name, present)}",
            "the column that the suite checks",
            policy,
        )
        for name in dict.fromkeys(wanted)
        if name not in present and name not in reported
    )


def compare_schemas(
    *, reference: Sequence[Column], current: Sequence[Column], policy: PolicySpec
) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion learnt from.

    A column that is gone, new or of another type is critical: models read columns by name, and a new
    name next to a missing one is how a rename looks.

    :returns: the findings, in the order of the reference, new columns last.
    """
    found = {column.name: column for column in current}
    known = {column.name for column in reference}
    new = [name for name in found if name not in known]
    findings = []
    for column in reference:
        if column.name not in found:
            observed = f"no such column{_perhaps(column.name, new)}"
            findings.append(_finding("column_missing", column.name, observed, f"type {column.type}", policy))
        elif found[column.name].type != column.type:
            observed = f"type {found[column.name].type}"
            findings.append(_finding("column_retyped", column.name, observed, f"type {column.type}", policy))
    findings += [_finding("column_new", name, f"type {found[name].type}", "no such column", policy) for name in new]
    return tuple(findings)


def compare_with_reference(
    *,
    reference: DatasetSnapshot,
    reference_profile: DatasetProfile,
    current: DatasetSnapshot,
    current_profile: DatasetProfile,
    validation: ValidationSpec,
) -> tuple[Finding, ...]:
    """Compare a batch with what the champion learnt from: columns, size, columns that are empty, categories."""
    policy = validation.policy
    findings = list(compare_schemas(reference=reference.columns, current=current.columns, policy=policy))
    factor = validation.max_size_factor
    if not reference.n_rows / factor <= current.n_rows <= reference.n_rows * factor:
        expected = f"at most {factor:g} times more or fewer than the champion's {reference.n_rows}"
        findings.append(_finding("row_count", None, f"{current.n_rows} rows", expected, policy))
    retyped = {finding.column for finding in findings}
    now = {column.name: column for column in current_profile.columns if column.name not in retyped}
    for column in reference_profile.columns:
        if column.name in now:
            findings += _compare_values(column, now[column.name], validation)
    return tuple(findings)


def _compare_values(reference: ColumnProfile, current: ColumnProfile, validation: ValidationSpec) -> list[Finding]:
    if _n_missing(current) == current.n_rows and _n_missing(reference) < reference.n_rows:
        observed = f"all {current.n_rows} values missing"
        expected = f"values, as {reference.n_rows - _n_missing(reference)} of the champion's rows have"
        return [_finding("column_empty", reference.name, observed, expected, validation.policy)]
    if reference.is_ordered and current.is_ordered is False:
        observed, expected = "moments that go back from one row to the next", "rows in order, as the champion's are"
        return [_finding("timestamp_order", reference.name, observed, expected, validation.policy)]
    return _new_categories(
        "category_new",
        reference,
        current,
        max_fraction=validation.max_new_category_fraction,
        policy=validation.policy,
    )


def compare_with_serving(
    *,
    training: DatasetSnapshot,
    training_profile: DatasetProfile,
    serving: DatasetSnapshot,
    serving_profile: DatasetProfile,
    serving_counts: Sequence[ColumnProfile],
    spec: ServingSpec,
    validation: ValidationSpec,
) -> tuple[Finding, ...]:
    """Compare what is learnt from with what the model is asked: training/serving skew.

    :param serving_profile: of the requests.
    :param serving_counts: the requests, counted in the bins of ``training_profile``.
    """
    policy = validation.policy
    asked = {column.name: column for column in serving.columns}
    learnt = {column.name: column for column in training.columns}
    wanted = spec.columns or tuple(name for name in learnt if name in asked)
    findings = []
    if not wanted:
        observed = f"{bounded(asked, 5)}"
        findings.append(_finding("serving_column_missing", None, observed, "a column that is learnt from", policy))
    for name in wanted:
        for place, columns, others in (("training data", learnt, asked), ("requests", asked, learnt)):
            if name not in columns:
                observed = f"not in the {place}{_perhaps(name, [n for n in columns if n not in others])}"
                findings.append(_finding("serving_column_missing", name, observed, "in both", policy))
        if name in learnt and name in asked and learnt[name].type != asked[name].type:
            observed, expected = f"type {asked[name].type} in the requests", f"type {learnt[name].type}"
            findings.append(_finding("serving_column_retyped", name, observed, expected, policy))
    if serving.n_rows < spec.min_rows:
        observed = f"{serving.n_rows} requests"
        findings.append(_finding("serving_rows", None, observed, f"at least {spec.min_rows}", policy, Severity.WARNING))
        return tuple(findings)
    broken = {finding.column for finding in findings}
    now = {column.name: column for column in serving_profile.columns}
    counted = {column.name: column.counts for column in serving_counts}
    for column in training_profile.columns:
        if column.name in wanted and column.name in now and column.name not in broken:
            findings += _skew(column, now[column.name], counted[column.name], spec, validation)
    return tuple(findings)


def _skew(
    training: ColumnProfile,
    serving: ColumnProfile,
    counts: Mapping[str, int],
    spec: ServingSpec,
    validation: ValidationSpec,
) -> list[Finding]:
    findings = _new_categories(
        "serving_category_new",
        training,
        serving,
        max_fraction=validation.max_new_category_fraction,
        policy=validation.policy,
    )
    psi = population_stability_index(reference=training.counts, current=counts)
    if not findings and psi >= spec.psi_threshold:
        observed, expected = f"PSI {psi:.3g}", f"below {spec.psi_threshold:g}"
        findings.append(
            _finding("serving_skew", training.name, observed, expected, validation.policy, Severity.WARNING)
        )
    return findings


def _new_categories(
    rule: str, reference: ColumnProfile, current: ColumnProfile, *, max_fraction: float, policy: PolicySpec
) -> list[Finding]:
    """Find values of a categorical column that the reference does not have, if all of its values are known."""
    if reference.edges is not None or current.edges is not None or OTHER in reference.counts:
        return []
    new = {name: n for name, n in current.counts.items() if name not in reference.counts and name != "null"}
    n_new = sum(new.values())
    if not n_new or not current.n_rows:
        return []
    severity = Severity.CRITICAL if n_new > max_fraction * current.n_rows else Severity.WARNING
    known = [name.removeprefix("=") for name in reference.counts if name != "null"]
    examples = [name.removeprefix("=") for name in sorted(new, key=lambda name: -new[name]) if name != OTHER]
    observed = f"{n_new} of {current.n_rows} rows ({n_new / current.n_rows:.2%}) with categories that are new"
    finding = _finding(rule, reference.name, observed, f"one of {bounded(known, 5)}", policy, severity)
    return [_with_examples(finding, examples)]


def _with_examples(finding: Finding, examples: Sequence[str]) -> Finding:
    return dataclasses.replace(finding, examples=tuple(text[:80] for text in examples[:_MAX_EXAMPLES]))


def _perhaps(name: str, known: Iterable[str]) -> str:
    """Return a guess at what a missing column is called now, to stand inside of a sentence."""
    guess = did_you_mean(name, known).strip()
    return f" ({guess})" if guess else ""


def _n_missing(column: ColumnProfile) -> int:
    return column.n_null + column.n_nan


def _finding(
    rule: str,
    column: str | None,
    observed: str,
    expected: str,
    policy: PolicySpec,
    severity: Severity = Severity.CRITICAL,
) -> Finding:
    action = decide_action(rule=rule, column=column, severity=severity, policy=policy)
    return Finding(rule=rule, severity=severity, column=column, observed=observed, expected=expected, action=action)
