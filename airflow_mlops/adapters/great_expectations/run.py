"""Great Expectations itself, on a pandas data frame."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

# Its import takes seconds, and would log 200 lines and count its users.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
logging.getLogger("great_expectations").setLevel(logging.WARNING)

import great_expectations as gx
from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from airflow_mlops.core.reason import Reason, Scalar
from airflow_mlops.core.validation.findings import Check, Outcome, Severity, kwargs_as_facts
from airflow_mlops.errors import SpecError

__all__ = ["run_suite"]

_ENGINE = "Great Expectations"


def run_suite(frame: Any, expectations: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Run expectations on a pandas data frame.

    Great Expectations reports what failed and what could not be checked both as ``success: false``; here the second
    is UNCHECKED, with the reason.

    :returns: a check for each expectation, in their order.
    :raises SpecError: when Great Expectations does not know an expectation or its arguments.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("snapshot")
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    batch = whole.get_batch({"dataframe": _with_nanoseconds(frame)})
    checks = []
    for entry, expectation in zip(expectations, _made(expectations), strict=True):
        # One by one: a suite keeps no order, and of two equal expectations only one.
        result = batch.validate(expectation, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 3})
        checks.append(_check(entry, result))
    return checks


def _made(expectations: Sequence[Mapping[str, Any]]) -> list[Any]:
    # Made one by one, because a suite only logs the entries that it can't make, and leaves them out.
    return [_make(entry) for entry in expectations]


def _make(entry: Mapping[str, Any]) -> Any:
    try:
        return ExpectationConfiguration(**_normal(entry)).to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise SpecError(
            f"validation: Great Expectations can't use {entry['type']} with {dict(entry.get('kwargs') or {})}: "
            f"{_explain(error)}. Nothing was trained. Fix the suite."
        ) from error


def _explain(error: Exception) -> str:
    """Return what is wrong with which argument, without pydantic's own words around it."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = {".".join(str(part) for part in each["loc"] if part != "__root__"): each["msg"] for each in error.errors()}
    return "; ".join(f"{name}: {text}" if name else text for name, text in found.items())


def _normal(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"kwargs": {}, "meta": {}, **entry, "severity": entry.get("severity") or "critical"}


def _with_nanoseconds(frame: Any) -> Any:
    """Return the frame with its timestamps in nanoseconds, the only ones that Great Expectations compares with text."""
    changed = {}
    for name, kind in frame.dtypes.items():
        for unit in ("[s", "[ms", "[us"):
            if kind.kind == "M" and unit in str(kind):
                with contextlib.suppress(ValueError):  # nanoseconds only reach from 1677 to 2262
                    changed[name] = frame[name].astype(str(kind).replace(unit, "[ns"))
    return frame.assign(**changed) if changed else frame


def _check(entry: Mapping[str, Any], result: Any) -> Check:
    kwargs = entry.get("kwargs") or {}
    details = result.result or {}
    error = "" if result.success else _exception_of(result.exception_info)
    outcome = Outcome.MET if result.success else Outcome.UNCHECKED if error else Outcome.BROKEN
    examples = [str(value)[:80] for value in details.get("partial_unexpected_list") or () if value is not None]
    counts = details if "element_count" in details else {}
    kind, observed, facts = ("unchecked", None, {"error": error}) if error else _observed(details)
    found = Reason(
        stage="validation",
        rule=entry["type"],
        subject=_about(kwargs) or "",
        observed=observed,
        n=counts["element_count"] - counts.get("missing_count", 0) if counts else None,
        facts={"kind": kind, **facts, "kwargs": kwargs_as_facts(kwargs)},
    )
    return Check(
        rule=entry["type"],
        column=_about(kwargs),
        severity=Severity(str(entry.get("severity") or "critical").lower()),
        found=found,
        outcome=outcome,
        n_elements=counts.get("element_count"),
        n_missing=counts.get("missing_count", 0) if counts else None,
        n_unexpected=counts.get("unexpected_count"),
        examples=tuple(examples[:3]) if outcome is Outcome.BROKEN else (),
        engine=_ENGINE,
    )


def _about(kwargs: Mapping[str, Any]) -> str | None:
    several = kwargs.get("column_list")
    names = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
    names += list(several) if isinstance(several, list | tuple) else []
    return ", ".join(name for name in names if isinstance(name, str)) or None


def _exception_of(info: Mapping[str, Any]) -> str:
    """Return the message of a check that raised; empty for one that just failed."""
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if isinstance(entry, Mapping) and entry.get("raised_exception"):
            return str(entry.get("exception_message") or "unknown error")[:300]
    return ""


def _observed(details: Mapping[str, Any]) -> tuple[str, Scalar, dict[str, Any]]:
    """Return what kind of thing was observed, the number or text of it, and what else is known of it."""
    if details.get("unexpected_count") is not None and details.get("element_count") is not None:
        count, n_values = int(details["unexpected_count"]), details["element_count"] - details.get("missing_count", 0)
        return "values", count / n_values if n_values else None, {"n_broken": count}
    if "observed_value" not in details:
        return "no_value", None, {}
    figure = details["observed_value"]
    is_number = isinstance(figure, bool | int | float)
    return "figure", figure if is_number else str(figure)[:300], {}
