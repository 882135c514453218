"""A batch against what the champion learnt from, and against what it is asked where it serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_mlops.core.data.profile import ColumnProfile, DatasetProfile, is_moment
from airflow_mlops.core.data.snapshot import Column, DatasetSnapshot
from airflow_mlops.core.stats.drift_statistics import population_stability_index
from airflow_mlops.core.validation.column_values import compare_values, is_all_missing, new_categories
from airflow_mlops.core.validation.findings import Finding, Severity, make_finding
from airflow_mlops.errors import bounded, did_you_mean
from airflow_mlops.specs.validate import PolicySpec, ServingSpec, ValidationSpec

__all__ = [
    "BUILT_IN_RULES",
    "check_order",
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
    "value_range",
)
"""What is found beside the suite, by the names that a policy knows it by."""


def check_timestamp(snapshot: DatasetSnapshot, policy: PolicySpec) -> tuple[Finding, ...]:
    """Find what makes a snapshot unusable, whatever it is compared with: its timestamps."""
    found = next((column for column in snapshot.columns if column.name == snapshot.timestamp), None)
    if found is None:
        return ()
    if not found.type.startswith(("timestamp", "date")):
        return (make_finding("timestamp_type", found.name, f"type {found.type}", "a date or a timestamp", policy),)
    if found.n_null:
        observed = f"{found.n_null} of {snapshot.n_rows} rows null"
        return (make_finding("timestamp_null", found.name, observed, "none", policy),)
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
        make_finding(
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
    empty = {column.name for column in profile.columns if is_all_missing(column)}
    return tuple(
        make_finding(
            "column_empty", name, f"all {profile.n_rows} values missing", "values for the suite to check", policy
        )
        for name in dict.fromkeys(wanted)
        if name in empty and name not in reported
    )


def check_order(snapshot: DatasetSnapshot, profile: DatasetProfile, policy: PolicySpec) -> tuple[Finding, ...]:
    """Find timestamps that go back where no champion's data says that they may."""
    return tuple(
        make_finding(
            "timestamp_order",
            column.name,
            "moments that go back from one row to the next",
            "rows in order, as long as no champion has learnt from others",
            policy,
            Severity.WARNING,
        )
        for column in profile.columns
        if column.name == snapshot.timestamp and column.is_ordered is False
    )


def nothing_checked(policy: PolicySpec) -> Finding:
    """Say that there was neither a suite nor a champion's data to compare with."""
    observed = "no expectation and no champion's data to infer one from"
    return make_finding(
        "nothing_checked", None, observed, "something to hold the data against", policy, Severity.WARNING
    )


def no_requests(spec: ServingSpec, policy: PolicySpec) -> Finding:
    """Say that there is nothing yet that the model was asked."""
    return make_finding("serving_rows", None, "0 requests", f"at least {spec.min_rows}", policy, Severity.WARNING)


def compare_schemas(
    *, reference: Sequence[Column], current: Sequence[Column], policy: PolicySpec
) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion learnt from.

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
            observed = f"no such column{_perhaps(column.name, new)}"
            findings.append(make_finding("column_missing", column.name, observed, f"type {column.type}", policy))
        elif severity := _change_of_type(column.type, found[column.name].type):
            observed, expected = f"type {found[column.name].type}", f"type {column.type}"
            findings.append(make_finding("column_retyped", column.name, observed, expected, policy, severity))
    findings += [make_finding("column_new", name, f"type {found[name].type}", "no such column", policy) for name in new]
    return tuple(findings)


def compare_with_reference(
    *,
    reference: DatasetSnapshot,
    reference_profile: DatasetProfile,
    current: DatasetSnapshot,
    current_profile: DatasetProfile,
    counted: Sequence[ColumnProfile] = (),
    validation: ValidationSpec,
) -> tuple[Finding, ...]:
    """Compare a batch with what the champion learnt from: columns, size, columns that are empty, values.

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
        expected = f"at most {factor:g} times more or fewer than the champion's {reference.n_rows}"
        findings.append(make_finding("row_count", None, f"{current.n_rows} rows", expected, policy))
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
    is_unsaid = _is_csv(current) and not finding.observed.endswith("string")  # such values may be of either type
    where = "; data.csv.types can say so where the values don't" if is_unsaid else ""
    expected = finding.expected + where
    return [make_finding(finding.rule, name, finding.observed, expected, policy, severity, examples)]


def _change_of_type(reference: str, current: str) -> Severity | None:
    """Return how grave it is that a column has another type; ``None`` when it has the same.

    Widths, units and whole numbers where floats were are but noted: the first two are how a file was written, and the
    last is how a small batch looks in which all numbers happen to be whole. So is a column without any value, which
    has no type. A date where moments were is worth a warning.
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
        findings.append(make_finding("serving_column_missing", None, observed, "a column that is learnt from", policy))
    for name in wanted:
        for place, columns, others in (("training data", learnt, asked), ("requests", asked, learnt)):
            if name not in columns:
                observed = f"not in the {place}{_perhaps(name, [n for n in columns if n not in others])}"
                findings.append(make_finding("serving_column_missing", name, observed, "in both", policy))
        severity = _change_of_type(learnt[name].type, asked[name].type) if name in learnt and name in asked else None
        if severity:
            observed, expected = f"type {asked[name].type} in the requests", f"type {learnt[name].type}"
            findings.append(make_finding("serving_column_retyped", name, observed, expected, policy, severity))
    if serving.n_rows < spec.min_rows:
        observed = f"{serving.n_rows} requests"
        findings.append(
            make_finding("serving_rows", None, observed, f"at least {spec.min_rows}", policy, Severity.WARNING)
        )
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
    spec: ServingSpec,
    validation: ValidationSpec,
) -> list[Finding]:
    findings = new_categories("serving_category_new", training, serving, counts=counts, validation=validation)
    psi = population_stability_index(reference=training.counts, current=counts)
    if not findings and psi >= spec.psi_threshold:
        observed, expected = f"PSI {psi:.3g}", f"below {spec.psi_threshold:g}"
        findings.append(
            make_finding("serving_skew", training.name, observed, expected, validation.policy, Severity.WARNING)
        )
    return findings


def _perhaps(name: str, known: Iterable[str]) -> str:
    """Return a guess at what a missing column is called now, to stand inside of a sentence."""
    guess = did_you_mean(name, known).strip()
    return f" ({guess})" if guess else ""
