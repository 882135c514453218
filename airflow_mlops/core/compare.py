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

__all__ = [
    "BUILT_IN_RULES",
    "check_timestamp",
    "compare_schemas",
    "compare_with_reference",
    "compare_with_serving",
    "empty_columns",
    "missing_columns",
    "no_requests",
    "nothing_checked",
]

BUILT_IN_RULES = (
    "category_new",
    "column_empty",
    "column_missing",
    "column_new",
    "column_retyped",
    "nothing_checked",
    "row_count",
    "serving_category_new",
    "serving_column_missing",
    "serving_column_retyped",
    "serving_rows",
    "serving_skew",
    "timestamp_null",
    "timestamp_order",
    "timestamp_type",
)
"""What is found beside the suite, by the names that a policy knows it by."""

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


def empty_columns(
    wanted: Iterable[str], found: Sequence[Finding], profile: DatasetProfile, policy: PolicySpec
) -> tuple[Finding, ...]:
    """Find the columns that a suite says something about the values of, and that have no value at all.

    :param wanted: the columns' names.
    :param found: earlier findings; a column that one of them is about is not reported twice.
    """
    reported = {finding.column for finding in found}
    empty = {column.name for column in profile.columns if _n_missing(column) == column.n_rows}
    return tuple(
        _finding("column_empty", name, f"all {profile.n_rows} values missing", "values for the suite to check", policy)
        for name in dict.fromkeys(wanted)
        if name in empty and name not in reported
    )


def nothing_checked(policy: PolicySpec) -> Finding:
    """Say that there was neither a suite nor a champion's data to compare with."""
    observed = "no expectation and no champion's data to infer one from"
    return _finding("nothing_checked", None, observed, "something to hold the data against", policy, Severity.WARNING)


def no_requests(spec: ServingSpec, policy: PolicySpec) -> Finding:
    """Say that there is nothing yet that the model was asked."""
    return _finding("serving_rows", None, "0 requests", f"at least {spec.min_rows}", policy, Severity.WARNING)


def compare_schemas(
    *, reference: Sequence[Column], current: Sequence[Column], policy: PolicySpec
) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion learnt from.

    A column that is gone, new or of another type is critical: models read columns by name, and a new
    name next to a missing one is how a rename looks. Integers where floats were are but noted: that is how a small
    batch looks in which all numbers happen to be whole.

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
            observed, is_whole = f"type {found[column.name].type}", _is_whole(column, found[column.name])
            severity = Severity.INFO if is_whole else Severity.CRITICAL
            findings.append(_finding("column_retyped", column.name, observed, f"type {column.type}", policy, severity))
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
    findings = [
        finding
        for finding in compare_schemas(reference=reference.columns, current=current.columns, policy=policy)
        if not (finding.rule == "column_retyped" and _is_emptied(finding.column, reference, current))
    ]
    factor = validation.max_size_factor
    if not reference.n_rows / factor <= current.n_rows <= reference.n_rows * factor:
        expected = f"at most {factor:g} times more or fewer than the champion's {reference.n_rows}"
        findings.append(_finding("row_count", None, f"{current.n_rows} rows", expected, policy))
    retyped = {finding.column for finding in findings if finding.severity is Severity.CRITICAL}
    now = {column.name: column for column in current_profile.columns if column.name not in retyped}
    for column in reference_profile.columns:
        if column.name in now:
            findings += _compare_values(column, now[column.name], validation)
    return tuple(findings)


def _is_emptied(name: str | None, reference: DatasetSnapshot, current: DatasetSnapshot) -> bool:
    """Return whether a column had values and has none now: then its type, in text formats, says nothing."""
    had_values = any(column.name == name and column.n_null < reference.n_rows for column in reference.columns)
    return had_values and any(column.name == name and column.n_null == current.n_rows for column in current.columns)


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


def _is_whole(reference: Column, current: Column) -> bool:
    return reference.type in ("double", "float") and current.type.startswith(("int", "uint"))


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
