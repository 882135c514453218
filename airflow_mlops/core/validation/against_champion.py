"""A batch against what the champion was trained on, and against what it is asked where it serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from airflow_mlops.core.data.profile import ColumnProfile, DatasetProfile, is_moment
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.drift_statistics import population_stability_index
from airflow_mlops.core.validation.column_values import compare_values, is_all_missing, new_categories
from airflow_mlops.core.validation.findings import Finding, Severity, make_finding
from airflow_mlops.errors import closest
from airflow_mlops.specs.validate import PolicySpec, SkewSpec, ValidationSpec

__all__ = [
    "BUILT_IN_RULES",
    "check_order",
    "check_timestamp",
    "compare_schemas",
    "compare_with_reference",
    "compare_with_requests",
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
    "value_range",
)
"""What is found beside the suite, by the names that a policy knows it by."""


_found = partial(Reason, stage="validation")
_N_NAMES = 5


def check_timestamp(snapshot: DatasetSnapshot, policy: PolicySpec) -> tuple[Finding, ...]:
    """Find what makes a snapshot unusable, whatever it is compared with: its timestamps."""
    found = next((column for column in snapshot.columns if column.name == snapshot.timestamp), None)
    if found is None:
        return ()
    if not found.type.startswith(("timestamp", "date")):
        return (make_finding(_found(rule="timestamp_type", subject=found.name, observed=found.type), policy),)
    if found.n_null:
        null = _found(rule="timestamp_null", subject=found.name, observed=found.n_null, required=0, n=snapshot.n_rows)
        return (make_finding(null, policy),)
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
        make_finding(_found(rule="column_missing", subject=name, facts={"similar": closest(name, present)}), policy)
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
    empty = {column.name for column in profile.columns if is_all_missing(column)}
    return tuple(
        make_finding(_found(rule="column_empty", subject=name, observed=profile.n_rows, n=profile.n_rows), policy)
        for name in dict.fromkeys(wanted)
        if name in empty and name not in reported
    )


def check_order(snapshot: DatasetSnapshot, profile: DatasetProfile, policy: PolicySpec) -> tuple[Finding, ...]:
    """Find timestamps that go back where no champion's data says that they may."""
    return tuple(
        make_finding(
            _found(rule="timestamp_order", subject=column.name, facts={"has_champion": False}),
            policy,
            Severity.WARNING,
        )
        for column in profile.columns
        if column.name == snapshot.timestamp and column.is_ordered is False
    )


def nothing_checked(policy: PolicySpec) -> Finding:
    """Say that there was neither a suite nor a champion's data to compare with."""
    return make_finding(_found(rule="nothing_checked"), policy, Severity.WARNING)


def no_requests(spec: SkewSpec, policy: PolicySpec) -> Finding:
    """Say that there is nothing yet that the model was asked."""
    return make_finding(_of_requests(0, spec), policy, Severity.WARNING)


def _of_requests(n_rows: int, spec: SkewSpec) -> Reason:
    return _found(
        rule="serving_rows", setting="validation.skew.min_rows", observed=n_rows, required=spec.min_rows, n=n_rows
    )


def compare_schemas(
    *, reference: Sequence[Column], current: Sequence[Column], policy: PolicySpec
) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion was trained on.

    A column that is gone, new or of another type is critical: models read columns by name, and a new
    name next to a missing one is how a rename looks. How grave another type is says :func:`_change_of_type`.

    :returns: the findings, in the order of the reference, new columns last.
    """
    found = {column.name: column for column in current}
    known = {column.name for column in reference}
    new = [name for name in found if name not in known]
    findings = []
    for column in reference:
        if column.name not in found:
            facts = {"similar": closest(column.name, new)}
            gone = _found(rule="column_missing", subject=column.name, required=column.type, facts=facts)
            findings.append(make_finding(gone, policy))
        elif severity := _change_of_type(column.type, found[column.name].type):
            types = _found(
                rule="column_retyped",
                subject=column.name,
                observed=found[column.name].type,
                required=column.type,
            )
            findings.append(make_finding(types, policy, severity))
    return (
        *findings,
        *(make_finding(_found(rule="column_new", subject=name, observed=found[name].type), policy) for name in new),
    )


def compare_with_reference(
    *,
    reference: DatasetSnapshot,
    reference_profile: DatasetProfile,
    current: DatasetSnapshot,
    current_profile: DatasetProfile,
    counted: Sequence[ColumnProfile] = (),
    validation: ValidationSpec,
) -> tuple[Finding, ...]:
    """Compare a batch with what the champion was trained on: columns, size, columns that are empty, values.

    :param counted: the batch in the bins of :func:`~airflow_mlops.core.validation.column_values.bins_to_count`.
    """
    policy = validation.policy
    was = {column.name: column for column in reference_profile.columns}
    now = {column.name: column for column in current_profile.columns}
    findings = []
    for finding in compare_schemas(reference=reference.columns, current=current.columns, policy=policy):
        findings += _judge_type(finding, reference, current, now, policy)
    factor = validation.max_size_factor
    if not reference.n_rows / factor <= current.n_rows <= reference.n_rows * factor:
        count = _found(
            rule="row_count",
            setting="validation.max_size_factor",
            observed=current.n_rows,
            required=factor,
            n=current.n_rows,
            facts={"n_reference": reference.n_rows},
        )
        findings.append(make_finding(count, policy))
    retyped = {finding.column for finding in findings if finding.severity is Severity.CRITICAL}
    in_bins = {column.name: column for column in counted}
    for name, column in was.items():
        if name in now and name not in retyped:
            findings += compare_values(column, now[name], in_bins.get(name), validation)
    return tuple(findings)


def _judge_type(
    finding: Finding,
    reference: DatasetSnapshot,
    current: DatasetSnapshot,
    profiles: Mapping[str, ColumnProfile],
    policy: PolicySpec,
) -> list[Finding]:
    """Weigh another type by whether there were values: where there are none, a text format says nothing of types."""
    if finding.rule != "column_retyped":
        return [finding]
    name, severity = str(finding.column), finding.severity
    if _is_all_null(name, current) and not _is_all_null(name, reference):
        return []  # it is empty now, which is what is said
    if _is_all_null(name, reference):
        severity = Severity.WARNING
    profile = profiles.get(name)
    examples = _some_values(profile) if profile else ()
    # Such values may be of either type, and only the settings can tell.
    is_unsaid = _is_csv(current) and not str(finding.found.observed).endswith("string")
    found = replace(finding.found, facts={"may_be_either": True}) if is_unsaid else finding.found
    return [make_finding(found, policy, severity, examples)]


def _change_of_type(reference: str, current: str) -> Severity | None:
    """Return how grave it is that a column has another type; ``None`` when it has the same.

    Widths, units and whole numbers where floats were are but noted: the first two are how a file was written, and the
    last is how a small batch looks in which all numbers happen to be whole. So is a column without any value, which
    has no type. A date where times were is worth a warning.
    """
    if reference == current:
        return None
    kinds = was, now = _kind(reference), _kind(current)
    if was == now or "null" in kinds or kinds == ("float", "whole"):
        return Severity.INFO
    is_date_or_moment = "date" in kinds and is_moment(reference) and is_moment(current)
    return Severity.WARNING if is_date_or_moment else Severity.CRITICAL


def _kind(arrow_type: str) -> str:
    """Return what a type is, whatever its width and unit."""
    kinds = {
        "whole": ("int", "uint"),
        "float": ("float", "double", "half"),
        "decimal": ("decimal",),
        "text": ("string", "large_string"),
        "date": ("date",),
        "timestamp with zone": ("timestamp",) if "tz=" in arrow_type else (),
        "timestamp": ("timestamp",),
    }
    return next((kind for kind, begins in kinds.items() if arrow_type.startswith(begins)), arrow_type)


def _some_values(profile: ColumnProfile) -> Sequence[str]:
    extremes = [str(value) for value in (profile.minimum, profile.maximum) if value is not None]
    return [value for value, _ in profile.top_values] or list(dict.fromkeys(extremes))


def _is_csv(snapshot: DatasetSnapshot) -> bool:
    names = [str(file.get("name")) for file in snapshot.source.get("files", ())]
    return any(kind in name for name in names for kind in (".csv", ".tsv"))


def _is_all_null(name: str, snapshot: DatasetSnapshot) -> bool:
    return any(column.name == name and column.n_null == snapshot.n_rows for column in snapshot.columns)


def compare_with_requests(
    *,
    training: DatasetSnapshot,
    training_profile: DatasetProfile,
    serving: DatasetSnapshot,
    serving_profile: DatasetProfile,
    serving_counts: Sequence[ColumnProfile],
    spec: SkewSpec,
    validation: ValidationSpec,
) -> tuple[Finding, ...]:
    """Compare what is trained on with what the model is asked: training/serving skew.

    :param serving_profile: of the requests.
    :param serving_counts: the requests, counted in the bins of ``training_profile``.
    """
    policy = validation.policy
    asked = {column.name: column for column in serving.columns}
    trained = {column.name: column for column in training.columns}
    wanted = spec.columns or tuple(name for name in trained if name in asked)
    findings = []
    if not wanted:
        others = _found(rule="serving_column_missing", n=len(asked), facts={"columns": list(asked)[:_N_NAMES]})
        findings.append(make_finding(others, policy))
    for name in wanted:
        for place, columns, beside in (("training data", trained, asked), ("requests", asked, trained)):
            if name not in columns:
                facts = {"missing_in": place, "similar": closest(name, [n for n in columns if n not in beside])}
                gone = _found(rule="serving_column_missing", subject=name, facts=facts)
                findings.append(make_finding(gone, policy))
        severity = _change_of_type(trained[name].type, asked[name].type) if name in trained and name in asked else None
        if severity:
            types = _found(
                rule="serving_column_retyped",
                subject=name,
                observed=asked[name].type,
                required=trained[name].type,
            )
            findings.append(make_finding(types, policy, severity))
    if serving.n_rows < spec.min_rows:
        findings.append(make_finding(_of_requests(serving.n_rows, spec), policy, Severity.WARNING))
        return tuple(findings)
    broken = {finding.column for finding in findings if finding.severity is Severity.CRITICAL}
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
    spec: SkewSpec,
    validation: ValidationSpec,
) -> list[Finding]:
    findings = new_categories("serving_category_new", training, serving, counts=counts, validation=validation)
    psi = population_stability_index(reference=training.counts, current=counts)
    if not findings and psi >= spec.psi_threshold:
        skew = _found(
            rule="serving_skew",
            subject=training.name,
            setting="validation.skew.psi_threshold",
            observed=psi,
            required=spec.psi_threshold,
            n=serving.n_rows,
        )
        findings.append(make_finding(skew, validation.policy, Severity.WARNING))
    return findings
