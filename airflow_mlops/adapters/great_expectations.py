"""Great Expectations: runs a suite on a data frame."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
logging.getLogger("great_expectations").setLevel(logging.WARNING)  # before its import, which logs 200 lines

import great_expectations as gx
from great_expectations.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from airflow_mlops.core.validate import Finding, Severity
from airflow_mlops.errors import SpecError

__all__ = ["read_suite", "run_suite"]

_ABOUT_COLUMN = ("column", "column_A", "column_set", "column_list")


def read_suite(path: str) -> tuple[dict[str, Any], ...]:
    """Read the expectations of a suite file.

    :raises SpecError: when there is no such file, it is not a suite, or it is empty.
    """
    try:
        document = json.loads(Path(path).read_text())
    except OSError as error:
        raise SpecError(f"validation.suite {path!r} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise SpecError(f"validation.suite {path!r} is not JSON: {error}") from error
    expectations = document.get("expectations") if isinstance(document, Mapping) else None
    if not expectations:
        raise SpecError(f"validation.suite {path!r} has no expectations, and nothing checked is no pass.")
    if not isinstance(expectations, list) or not all(
        isinstance(entry, dict) and "type" in entry and isinstance(entry.get("kwargs", {}), dict)
        for entry in expectations
    ):
        raise SpecError(
            f"validation.suite {path!r}: `expectations` must be a list of objects that have a `type` and may have "
            f"`kwargs`, an object."
        )
    return tuple(expectations)


def run_suite(frame: Any, expectations: Sequence[Mapping[str, Any]]) -> tuple[list[Finding], list[Finding]]:
    """Run expectations on a pandas data frame.

    :returns: what failed, and what could not be checked at all (its ``observed`` says why). Great
        Expectations reports both as ``success: false``.
    :raises SpecError: when Great Expectations does not know an expectation or its arguments.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("snapshot")
    batch = (
        source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    )
    try:
        # Made one by one, because a suite only logs the entries that it can't make, and leaves them out.
        checks = [ExpectationConfiguration(**_normal(entry)).to_domain_obj() for entry in expectations]
        suite = gx.ExpectationSuite(name="suite", expectations=checks)
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise SpecError(f"validation: Great Expectations can't use the suite: {error}") from error
    results = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 3})
    failed: list[Finding] = []
    unchecked: list[Finding] = []
    for result in results.results:
        if result.success:
            continue
        raised = _exception_of(result.exception_info)
        (unchecked if raised else failed).append(_finding(result, raised))
    return failed, unchecked


def _normal(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"severity": "critical", "kwargs": {}, "meta": {}, **entry}


def _exception_of(info: Mapping[str, Any]) -> str:
    """Return the message of a check that raised; empty for one that just failed."""
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if isinstance(entry, Mapping) and entry.get("raised_exception"):
            return str(entry.get("exception_message") or "unknown error")[:300]
    return ""


def _finding(result: Any, error: str) -> Finding:
    config = result.expectation_config
    settings = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    column = next((settings[key] for key in _ABOUT_COLUMN if isinstance(settings.get(key), str)), None)
    expected = {key: value for key, value in settings.items() if key not in ("column", "severity")}
    details = result.result or {}
    examples = tuple(str(value)[:80] for value in details.get("partial_unexpected_list") or ())
    return Finding(
        rule=config.type,
        severity=Severity(str(getattr(config.severity, "value", config.severity)).lower()),
        column=column,
        observed=f"could not be checked: {error}" if error else _observed(details),
        expected=", ".join(f"{key}={value}" for key, value in expected.items()) or "to hold",
        examples=examples,
    )


def _observed(details: Mapping[str, Any]) -> str:
    if details.get("unexpected_count") is not None:
        count, share = details["unexpected_count"], details.get("unexpected_percent") or 0.0
        return f"{count} of {details.get('element_count', '?')} values break it ({share:.3g} %)"
    return str(details.get("observed_value", "no value"))[:300]
