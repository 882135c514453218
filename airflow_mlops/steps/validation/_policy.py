"""What a policy says, held against what there is: known rules, known columns, rows that can be set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from airflow_mlops.adapters import ibis_rules
from airflow_mlops.core.validation.against_champion import BUILT_IN_RULES
from airflow_mlops.errors import SpecError, bounded, did_you_mean
from airflow_mlops.specs.validate import Action, PolicySpec

__all__ = ["ROW_RULES", "check_policy"]

Expectations = Sequence[Mapping[str, Any]]

ROW_RULES = ("category_new", "timestamp_null", "value_range")
"""What is found beside the suite and is about single rows."""

_COMING_AND_GOING = ("column_missing", "column_new", "serving_column_missing")


def check_policy(policy: PolicySpec, columns: Iterable[str], expectations: Expectations) -> None:
    """See that what findings are to lead to is said in words that mean something here.

    :param columns: of the batch, and of the champion's data.
    :raises SpecError: when a rule, a column or an action is not known: it would be a setting that does nothing; or when
        something is to lead to quarantine that no single row breaks.
    """
    _check_actions(expectations)
    rules = {*BUILT_IN_RULES, *(entry["type"] for entry in expectations)}
    known_columns = {*columns, *(str(ibis_rules.column_of(entry)) for entry in expectations)}
    for key in policy.rules:
        rule, _, column = key.partition(":")
        known, name = (rules, rule) if rule not in rules else (known_columns, column)
        if rule in _COMING_AND_GOING:  # whose columns may be in neither
            continue
        if name and name not in known:
            raise SpecError(
                f"validation.policy.rules: {key!r}: there is no {'rule' if known is rules else 'column'} {name!r} here."
                f"{did_you_mean(name, known)} Nothing was checked. Known: {bounded(sorted(known), 30)}."
            )
    unfit = list(dict.fromkeys(_unfit(policy, expectations)))
    if unfit:
        raise SpecError(
            f"validation.policy: {bounded(unfit)} can't lead to QUARANTINE: no single row breaks it, or no engine can "
            f"tell which. Choose HALT, RETRAIN or PROCEED for it. Nothing was checked."
        )


def _check_actions(expectations: Expectations) -> None:
    for index, entry in enumerate(expectations):
        said = (entry.get("meta") or {}).get("on_failure")
        if said is not None and said not in get_args(Action):
            raise SpecError(
                f"validation: expectations[{index}].meta.on_failure is {said!r}."
                f"{did_you_mean(str(said), get_args(Action))} Nothing was checked. It may be one of: "
                f"{bounded(get_args(Action))}."
            )


def _unfit(policy: PolicySpec, expectations: Expectations) -> Iterator[str]:
    """Name what is said by itself to lead to quarantine, and not only by its severity, and has no rows to set aside."""
    for key, action in policy.rules.items():
        rule = key.partition(":")[0]
        if action == "QUARANTINE" and rule in BUILT_IN_RULES and rule not in ROW_RULES:
            yield key
    for entry in expectations:
        rule, column = entry["type"], ibis_rules.column_of(entry)
        said = (entry.get("meta") or {}).get("on_failure") or policy.rules.get(f"{rule}:{column}")
        if (said or policy.rules.get(rule)) == "QUARANTINE" and not ibis_rules.is_row_wise(entry):
            yield f"{rule}:{column}" if column else rule
