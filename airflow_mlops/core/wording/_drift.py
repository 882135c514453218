"""The sentences of a drift check."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.wording._texts import Words, listed, wording_by_rule
from airflow_mlops.errors import counted

__all__ = ["COLUMN_RULES", "DRIFT_RULES"]

_STATISTICS = {
    "psi": "PSI {observed:.3g}, limit {required:g}",
    "jensen_shannon": "Jensen-Shannon distance {observed:.3g}, limit {required:g}",
    "wasserstein": "Wasserstein distance {observed:.3g}, limit {required:g}",
    "chi_square": "chi-square test p {observed:.2g}, limit {required:g}",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov test p {observed:.2g}, limit {required:g}",
}
_SIDES = {"window": "in the window", "season": "in the same window a season before"}


def _statistic(reason: Reason) -> str:
    return _STATISTICS[reason.rule].format(observed=reason.observed, required=reason.required)


def _missing_change(reason: Reason) -> str:
    return f"null or NaN in {reason.facts['current']:.1%} of the rows, {reason.facts['reference']:.1%} in the reference"


def _new_categories(reason: Reason) -> str:
    names = listed(reason.facts["examples"], reason.facts["n_examples"])
    such = f", such as {names}" if reason.facts["examples"] else ""
    return f"values that the reference did not have in {reason.observed:.1%} of the rows{such}"


def _frequent_categories(reason: Reason) -> str:
    return (
        f"frequent now: {', '.join(f'{name!r} in {share:.1%}' for name, share in reason.facts['shares'])} of the rows"
    )


def _vanished_categories(reason: Reason) -> str:
    return f"vanished: {listed(reason.facts['examples'], reason.n or 0)}"


def _evidently(reason: Reason) -> str:
    return f"Evidently's {reason.facts['method']} {reason.observed:.3g}, limit {reason.required:g}"


COLUMN_RULES: Mapping[str, Words] = {
    **dict.fromkeys(_STATISTICS, _statistic),
    "missing_change": _missing_change,
    "new_categories": _new_categories,
    "frequent_categories": _frequent_categories,
    "vanished_categories": _vanished_categories,
    "evidently": _evidently,
}
"""What is found of one column: parts of a sentence, without a full stop."""

_of_column = wording_by_rule(COLUMN_RULES)


def _min_rows(reason: Reason) -> str:
    where = _SIDES[reason.subject]
    return f"{counted(reason.n or 0, 'row')} {where}, {reason.setting} is {reason.required}: too few to tell."


def _drifted_fraction(reason: Reason) -> str:
    facts = reason.facts
    text = (
        f"{facts['n_drifted']} of {counted(facts['n_features'], 'feature')} drifted, with {reason.observed:.0%} of the"
    )
    text = f"{text} importance ({reason.setting} is {reason.required:.0%})."
    return text if reason.n is None else f"{text} {counted(reason.n, 'row')} against {facts['n_reference']}."


def _column(reason: Reason) -> str:
    return f"{reason.facts['kind'].capitalize()} {reason.subject}: {'; '.join(map(_of_column, reason.because))}."


def _others_drifted(reason: Reason) -> str:
    return f"And drifted: {listed(reason.facts['columns'], reason.n or 0)}."


def _null_alone(reason: Reason) -> str:
    names = listed(reason.facts["columns"], reason.n or 0)
    return f"Of {names} null alone was compared: dates, long texts and lists have no bins."


def _domain_classifier(reason: Reason) -> str:
    return (
        f"A classifier tells old rows from new ones with an area under the curve of {reason.observed:.3f}, limit "
        f"{reason.required}."
    )


def _columns_not_measured(reason: Reason) -> str:
    facts = reason.facts
    missing, retyped = (listed(facts[kind], facts[f"n_{kind}"]) for kind in ("missing", "retyped"))
    return f"Not measured: columns of the champion's data are missing ({missing}) or are of another type ({retyped})."


DRIFT_RULES: Mapping[str, Words] = {
    "min_rows": _min_rows,
    "drifted_fraction": _drifted_fraction,
    "column": _column,
    "others_drifted": _others_drifted,
    "null_alone": _null_alone,
    "domain_classifier": _domain_classifier,
    "columns_not_measured": _columns_not_measured,
    "predictions_not_measured": lambda _: (
        "Not measured: predictions; the champion's evaluation keeps none of its own to compare with."
    ),
    "no_reference": lambda _: "There is no champion, so there is nothing to compare with.",
    "decided_by_evidently": lambda _: "Decided by Evidently, on samples.",
}
"""What is found of the whole."""
