"""Drift: which columns moved, and whether the dataset has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from airflow_mlops.core.data.profile import OTHER, ColumnProfile, DatasetProfile
from airflow_mlops.core.monitoring.drift_report import ColumnDrift, ColumnKind, DriftStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.stats.drift_statistics import (
    adjust_p_values,
    expected_counts,
    homogeneity_p_value,
    jensen_shannon_distance,
    kolmogorov_smirnov,
    part_newcomers,
    pool_rare,
    population_stability_index,
    sampling_noise,
    wasserstein_distance,
)
from airflow_mlops.errors import SpecError, bounded, did_you_mean
from airflow_mlops.specs.monitor import MonitoringSpec

__all__ = [
    "DOMAIN_LIMIT",
    "ColumnFacts",
    "DriftVerdict",
    "admit_gaps",
    "check_limits",
    "judge_domains",
    "judge_drift",
    "judge_shares",
    "measure_column",
    "unknown_ignored",
]

_TESTS = ("chi_square", "kolmogorov_smirnov")
_N_SHOWN = 5
_N_EXAMPLES = 3
_N_NAMES = 10

_reason = partial(Reason, stage="monitoring")

DOMAIN_LIMIT = 0.6
"""The area under the ROC curve from which on old rows can be told from new ones."""


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """What is known of the columns beside their counts.

    :param kinds: of those that are no features.
    :param importances: how much the model relies on each feature; empty where nobody measured it. What is below 0 is 0.
    """

    kinds: Mapping[str, ColumnKind]
    importances: Mapping[str, float]

    def kind_of(self, column: str) -> ColumnKind:
        """Return what a column is to the model."""
        return self.kinds.get(column, ColumnKind.FEATURE)

    def shares(self, columns: Sequence[str]) -> dict[str, float]:
        """Return each feature's share of the importance of all of them; equal ones where none is known."""
        features = [name for name in columns if self.kind_of(name) is ColumnKind.FEATURE]
        known = {name: max(self.importances.get(name, 0.0), 0.0) for name in features}
        total = sum(known.values())
        return {name: known[name] / total if total else 1 / len(features) for name in features}


@dataclass(frozen=True, kw_only=True)
class DriftVerdict:
    """What was found, with the columns that drifted first."""

    status: DriftStatus
    columns: tuple[ColumnDrift, ...] = ()
    reasons: tuple[Reason, ...]


def judge_drift(
    *, reference: DatasetProfile, current: DatasetProfile, monitoring: MonitoringSpec, facts: ColumnFacts
) -> DriftVerdict:
    """Compare two profiles that were counted in the same bins."""
    looked_at = {"window": current.n_rows}
    if monitoring.reference == "seasonal":
        looked_at["season"] = reference.n_rows
    for where, n_rows in looked_at.items():
        if n_rows < monitoring.min_rows:
            return DriftVerdict(
                status=DriftStatus.TOO_FEW_ROWS, reasons=(_too_few(where, n_rows, monitoring.min_rows),)
            )
    found = {column.name: column for column in current.columns}
    shares = facts.shares([column.name for column in reference.columns])
    pairs = [(column, found[column.name]) for column in reference.columns]
    measured = [
        replace(
            measure_column(reference=old, current=new), kind=facts.kind_of(old.name), importance=shares.get(old.name, 0)
        )
        for old, new in pairs
    ]
    for test in _TESTS:
        adjusted = adjust_p_values([each.p_values.get(test, math.nan) for each in measured], monitoring.correction)
        measured = [
            replace(each, p_values={**each.p_values, test: p_value}) if test in each.p_values else each
            for each, p_value in zip(measured, adjusted, strict=True)
        ]
    columns = [_judged(each, old, new, monitoring) for each, (old, new) in zip(measured, pairs, strict=True)]
    verdict = judge_shares(columns, monitoring)
    first, *others = verdict.reasons
    first = replace(first, n=current.n_rows, facts={**first.facts, "n_reference": reference.n_rows})
    return replace(verdict, reasons=(first, *others, *_uncounted(reference)))


def _too_few(where: str, n_rows: int, min_rows: int) -> Reason:
    return _reason(
        rule="min_rows",
        verdict=DriftStatus.TOO_FEW_ROWS,
        subject=where,
        setting="monitoring.min_rows",
        observed=n_rows,
        required=min_rows,
        n=n_rows,
    )


def _uncounted(reference: DatasetProfile) -> Iterator[Reason]:
    """Name the columns of which no value has a bin, so that null alone can be compared."""
    names = [
        each.name
        for each in reference.columns
        if each.edges is None and each.counts.get(OTHER) and not any(label.startswith("=") for label in each.counts)
    ]
    if names:
        yield _reason(rule="null_alone", n=len(names), facts={"columns": names[:_N_NAMES]})


def judge_shares(columns: Sequence[ColumnDrift], monitoring: MonitoringSpec) -> DriftVerdict:
    """Decide whether a dataset has drifted, from its columns.

    :returns: the columns in the order of what they say: those that drifted first, the important ones before others.
    """
    ordered = sorted(columns, key=lambda each: (not each.is_drifted, -each.importance, -_first(each)))
    drifted = [each for each in ordered if each.is_drifted]
    features = [each for each in drifted if each.kind is ColumnKind.FEATURE]
    share = sum(each.importance for each in features)
    beside = [each for each in drifted if each.kind is not ColumnKind.FEATURE]
    n_features = sum(each.kind is ColumnKind.FEATURE for each in columns)
    is_drifted = bool(beside) or (bool(features) and share >= monitoring.drifted_fraction - 1e-9)
    status = DriftStatus.DRIFTED if is_drifted else DriftStatus.STABLE
    summary = _reason(
        rule="drifted_fraction",
        verdict=status,
        setting="monitoring.drifted_fraction",
        observed=share,
        required=monitoring.drifted_fraction,
        facts={"n_drifted": len(features), "n_features": n_features},
    )
    decisive = [*beside, *features]
    reasons = [summary, *map(_of_column, decisive[:_N_SHOWN])]
    if others := [each.name for each in decisive[_N_SHOWN:]]:
        reasons.append(_reason(rule="others_drifted", n=len(others), facts={"columns": others[:_N_NAMES]}))
    return DriftVerdict(status=status, columns=tuple(ordered), reasons=tuple(reasons))


def _of_column(each: ColumnDrift) -> Reason:
    """Repeat what was found of a column, with the numbers of the limit that it reached first."""
    first = next(iter(each.reasons), _reason(rule=""))
    return _reason(
        rule="column",
        verdict=DriftStatus.DRIFTED,
        subject=each.name,
        setting=first.setting,
        observed=first.observed,
        required=first.required,
        n=first.n,
        facts={"kind": each.kind},
        because=each.reasons,
    )


def judge_domains(verdict: DriftVerdict, score: float) -> DriftVerdict:
    """Take into account how well a classifier tells old rows from new ones.

    Lopez-Paz and Oquab, *Revisiting Classifier Two-Sample Tests* (2017). For samples of 200 rows, the area under the
    curve is 0.5 within 0.03 (one standard deviation) if nothing has drifted, so that :data:`DOMAIN_LIMIT` is no chance.

    :param score: the area under the ROC curve on rows that the classifier was not trained on.
    """
    is_told = score >= DOMAIN_LIMIT
    reason = _reason(
        rule="domain_classifier",
        verdict=DriftStatus.DRIFTED if is_told else DriftStatus.STABLE,
        observed=score,
        required=DOMAIN_LIMIT,
    )
    status = DriftStatus.DRIFTED if is_told else verdict.status
    return replace(verdict, status=status, reasons=(*verdict.reasons, reason))


def admit_gaps(verdict: DriftVerdict, gaps: Sequence[Reason]) -> DriftVerdict:
    """Add what could not be measured. What is left may not have drifted; that is not the same as no drift."""
    is_open = bool(gaps) and verdict.status is DriftStatus.STABLE
    status = DriftStatus.INCOMPLETE if is_open else verdict.status
    return replace(verdict, status=status, reasons=(*verdict.reasons, *gaps))


def measure_column(*, reference: ColumnProfile, current: ColumnProfile) -> ColumnDrift:
    """Compute every statistic that fits a column, without what sampling alone explains."""
    before, now = (reference.counts, current.counts) if reference.edges is not None else _parted(reference, current)
    p, q = pool_rare(reference=before, current=now)
    noise = sampling_noise(reference=p, current=q)
    psi = population_stability_index(reference=p, current=q)
    divergence = jensen_shannon_distance(reference=p, current=q) ** 2
    statistics = {
        "psi": _at_least_0(psi - noise),
        "jensen_shannon": math.sqrt(_at_least_0(divergence - noise / 8)),
    }
    p_values = {"chi_square": homogeneity_p_value(reference=p, current=q)}
    if reference.edges is not None:
        statistics["wasserstein"] = wasserstein_distance(reference=reference, current=current)
        distance, p_values["kolmogorov_smirnov"] = kolmogorov_smirnov(reference=reference, current=current)
        statistics["kolmogorov_smirnov"] = distance
    return ColumnDrift(name=reference.name, statistics=statistics, p_values=p_values, is_drifted=False)


def _parted(reference: ColumnProfile, current: ColumnProfile) -> tuple[Mapping[str, float], Mapping[str, float]]:
    return part_newcomers(reference=expected_counts(reference), current=current.counts, frequent=current.top_values)


def _at_least_0(value: float) -> float:
    return value if math.isnan(value) else max(value, 0.0)


def check_limits(columns: Sequence[ColumnProfile], monitoring: MonitoringSpec) -> None:
    """See that the limits of single columns are of columns that there are, and of statistics that fit them.

    :param columns: of the reference.
    :raises SpecError: when one is not.
    """
    known = {column.name: column for column in columns}
    for name, limits in monitoring.features.items():
        if name not in known:
            raise SpecError(
                f"monitoring.features: {name!r} is not among the columns that are compared.{did_you_mean(name, known)} "
                f"Nothing was decided. Known: {bounded(sorted(known))}."
            )
        unfit = {"chi_square"} if known[name].edges is not None else {"wasserstein", "kolmogorov_smirnov"}
        if unfit & set(limits):
            kind = "of numbers" if known[name].edges is not None else "no column of numbers"
            raise SpecError(
                f"monitoring.features.{name}: {', '.join(sorted(unfit & set(limits)))} does not fit it, since it is "
                f"{kind}. Nothing was decided. Choose psi or jensen_shannon, which fit all."
            )


def unknown_ignored(monitoring: MonitoringSpec, known: Iterable[str]) -> str:
    """Say which columns are ignored that nobody knows; empty where there are none.

    :param known: all columns, compared or not.

    >>> unknown_ignored(MonitoringSpec(ignore=["tmp"]), ["temp", "hum"])
    "monitoring.ignore: there is no column 'tmp'. Did you mean 'temp'? Known: 'hum', 'temp'."
    """
    names = sorted(known)
    unknown = [name for name in monitoring.ignore if name not in names]
    if not unknown:
        return ""
    return (
        f"monitoring.ignore: there is no column {bounded(unknown)}.{did_you_mean(unknown[0], names)} "
        f"Known: {bounded(names, 30)}."
    )


def _judged(
    each: ColumnDrift, reference: ColumnProfile, current: ColumnProfile, monitoring: MonitoringSpec
) -> ColumnDrift:
    """Return a column with the verdict, and the reasons for it."""
    is_number = reference.edges is not None
    own, of_kind = monitoring.features.get(each.name), "numeric" if is_number else "categorical"
    limits = {**own} if own else {**monitoring.numeric} if is_number else {**monitoring.categorical}
    setting = f"monitoring.features.{each.name}" if own else f"monitoring.{of_kind}"
    reasons = [
        _reason(
            rule=statistic,
            verdict=DriftStatus.DRIFTED,
            setting=f"{setting}.{statistic}",
            observed=each.p_values[statistic] if statistic in _TESTS else each.statistics[statistic],
            required=limit,
            n=current.n_rows,
        )
        for statistic, limit in limits.items()
        if _is_reached(each, statistic, limit, monitoring)
    ]
    reasons += _missing_change(reference, current, each, monitoring)
    if not reasons:
        return each
    changes = () if is_number else _category_changes(reference, current)
    return replace(each, is_drifted=True, reasons=(*reasons, *changes))


def _is_reached(each: ColumnDrift, statistic: str, limit: float, monitoring: MonitoringSpec) -> bool:
    if statistic in _TESTS:
        return each.p_values[statistic] < limit
    ordered = statistic == "wasserstein"
    p_value = each.p_values["kolmogorov_smirnov" if ordered else "chi_square"]
    return each.statistics[statistic] >= limit and p_value < monitoring.significance_level


def _missing_change(
    reference: ColumnProfile, current: ColumnProfile, each: ColumnDrift, monitoring: MonitoringSpec
) -> Iterator[Reason]:
    """See whether the share of null and NaN moved; distances on an ordered scale do not see that."""
    before, now = ((side.n_null + side.n_nan) / max(side.n_rows, 1) for side in (reference, current))
    is_change = abs(now - before) >= monitoring.missing_change
    if is_change and each.p_values["chi_square"] < monitoring.significance_level:
        yield _reason(
            rule="missing_change",
            verdict=DriftStatus.DRIFTED,
            setting="monitoring.missing_change",
            observed=abs(now - before),
            required=monitoring.missing_change,
            n=current.n_rows,
            facts={"current": now, "reference": before},
        )


def _category_changes(reference: ColumnProfile, current: ColumnProfile) -> Iterator[Reason]:
    """Find which categories came and went."""
    known = set(reference.counts)
    n_new = current.counts.get(OTHER, 0)
    if n_new and OTHER not in known:
        names = [value for value, _ in current.top_values if f"={value}" not in known]
        yield _reason(
            rule="new_categories",
            observed=n_new / current.n_rows,
            n=current.n_rows,
            facts={"examples": names[:_N_EXAMPLES], "n_examples": len(names)},
        )
    elif n_new:
        found = [(label, n_rows) for label, n_rows in _parted(reference, current)[1].items() if label not in known]
        shares = [[label.removeprefix("="), n_rows / current.n_rows] for label, n_rows in found[:_N_EXAMPLES]]
        if shares:
            yield _reason(rule="frequent_categories", n=current.n_rows, facts={"shares": shares})
    share = current.n_rows / max(reference.n_rows, 1)
    gone = [
        label.removeprefix("=")
        for label, n_rows in reference.counts.items()
        if label.startswith("=") and n_rows * share >= _N_SHOWN and not current.counts.get(label)
    ]
    if gone:
        yield _reason(rule="vanished_categories", n=len(gone), facts={"examples": gone[:_N_EXAMPLES]})


def _first(each: ColumnDrift) -> float:
    value = next(iter(each.statistics.values()), 0.0)
    return 0.0 if math.isnan(value) else value
