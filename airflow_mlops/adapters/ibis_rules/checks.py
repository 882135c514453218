"""Great Expectations' rules as one scan of a Parquet file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from ibis.common.exceptions import IbisError

from airflow_mlops.adapters.ibis_rules._arguments import arguments_of, column_of
from airflow_mlops.adapters.ibis_rules._columns import CantBeAnsweredError, CantBeCheckedError, Kind, Rows, shown
from airflow_mlops.adapters.ibis_rules._engine import Engine, connect, read_schema
from airflow_mlops.adapters.ibis_rules._group_rules import GROUP_RULES
from airflow_mlops.adapters.ibis_rules._question import Answer, Compiler, Facts, Question
from airflow_mlops.adapters.ibis_rules._row_rules import ROW_RULES, row_question
from airflow_mlops.adapters.ibis_rules._table_rules import TABLE_RULES
from airflow_mlops.adapters.ibis_rules._value_rules import VALUE_RULES
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.validation.findings import Check, Outcome, Severity, kwargs_as_facts

__all__ = ["check_rules"]

Expectation = Mapping[str, Any]

_COMPILERS: Mapping[str, Compiler] = {
    **{name: row_question(make) for name, make in ROW_RULES.items()},
    **TABLE_RULES,
    **VALUE_RULES,
    **GROUP_RULES,
}
_N_EXAMPLES = 3
_LOOK_AT = 100


def check_rules(parquet: str, expectations: Sequence[Expectation]) -> list[Check | None]:
    """Check what an engine can answer: in one scan, and one more of single columns for counts of values.

    A value is missing when it is NULL or NaN; infinities and empty texts are values. The verdicts and the counts
    are those that Great Expectations comes to with pandas, but where pandas changes the data first: integers and
    booleans keep their type next to missing values, and dates and timestamps can be compared whatever their unit.

    :returns: a check for each expectation, and ``None`` where only Great Expectations itself can make it.
    :raises IntegrityError: when the file is damaged.
    :raises UnavailableError: when the file or the engine is lost.
    """
    rows = Rows.of(read_schema(parquet))
    with connect(parquet) as engine:
        questions = [_ask(rows, entry, engine) for entry in expectations]
        open_ones = [question for question in questions if isinstance(question, Question)]
        facts = _scan(rows, open_ones, engine)
        return [
            _check(rows, entry, question, facts, engine)
            for entry, question in zip(expectations, questions, strict=True)
        ]


def _ask(rows: Rows, expectation: Expectation, engine: Engine) -> Question | CantBeCheckedError | None:
    try:
        kwargs = arguments_of(expectation)
        return _COMPILERS[expectation["type"]](rows, kwargs, engine)
    except CantBeCheckedError as reason:
        return reason
    except (CantBeAnsweredError, IbisError):
        return None


def _scan(rows: Rows, questions: Sequence[Question], engine: Engine) -> Facts | None:
    """Compute all aggregates in one scan; ``None`` when one of them can't be computed."""
    aggregates = {aggregate.op(): aggregate for question in questions for aggregate in question.aggregates}
    if not aggregates:
        return Facts({})
    named = {f"a{index}": aggregate for index, aggregate in enumerate(aggregates.values())}
    try:
        found = engine.fetch_one(rows.table.aggregate(**named))
    except duckdb.Error:
        return None
    return Facts(dict(zip(aggregates, found, strict=True)))


def _check(
    rows: Rows,
    expectation: Expectation,
    question: Question | CantBeCheckedError | None,
    facts: Facts | None,
    engine: Engine,
) -> Check | None:
    if question is None:
        return None
    if isinstance(question, CantBeCheckedError):
        return _as_check(
            expectation, Outcome.UNCHECKED, Answer(is_met=False, kind="unchecked", facts={"error": str(question)})
        )
    try:
        known = _scan(rows, [question], engine) if facts is None else facts
        answer = question.answer(known, engine) if known is not None else None
    except duckdb.Error:
        answer = None
    if answer is None:
        return None  # a sum beyond the engine's numbers, say
    return _as_check(
        expectation,
        Outcome.MET if answer.is_met else Outcome.BROKEN,
        answer,
        () if answer.is_met or answer.bad is None else _examples(rows, answer.bad, engine),
    )


def _examples(rows: Rows, bad: Any, engine: Engine) -> tuple[str, ...]:
    """Return the first different values that broke the rule, in the order of the file."""
    zoned = {
        name: bad[name].cast("string") for name in bad.columns if rows.kinds.get(name) is Kind.ZONED_TIMESTAMP
    }  # Python would need a library of time zones
    with contextlib.suppress(duckdb.Error):
        found = engine.fetch((bad.mutate(**zoned) if zoned else bad).limit(_LOOK_AT))
        texts = [shown(row[0] if len(row) == 1 else ", ".join(map(str, row))) for row in found]
        return tuple(dict.fromkeys(texts))[:_N_EXAMPLES]
    return ()


def _as_check(expectation: Expectation, outcome: Outcome, answer: Answer, examples: tuple[str, ...] = ()) -> Check:
    column = column_of(expectation)
    found = Reason(
        stage="validation",
        rule=expectation["type"],
        subject=column or "",
        observed=answer.observed,
        n=None if answer.n_elements is None else answer.n_elements - (answer.n_missing or 0),
        facts={"kind": answer.kind, **answer.facts, "kwargs": kwargs_as_facts(expectation.get("kwargs") or {})},
    )
    return Check(
        rule=expectation["type"],
        column=column,
        severity=Severity(str(expectation.get("severity") or "critical").lower()),
        found=found,
        outcome=outcome,
        n_elements=answer.n_elements,
        n_missing=answer.n_missing,
        n_unexpected=answer.n_unexpected,
        examples=examples,
        engine="DuckDB",
    )
