"""Suites: read from files, taken from code, and seen to be well-formed. None of it imports Great Expectations."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from airflow_mlops.adapters.great_expectations._known import COMMON, OPTIONAL, REQUIRED
from airflow_mlops.core.validation.findings import Severity
from airflow_mlops.errors import SpecError, bounded, bounded_lines, did_you_mean

__all__ = ["check_suite", "columns_of", "read_suite", "suite_of"]

_SETTINGS = ("description", "id", "kwargs", "meta", "notes", "rendered_content", "severity", "type")
_COLUMNS = ("column", "column_A", "column_B")
# What looks at the table as a whole, and so needs all of its columns.
_WHOLE_TABLE = ("expect_table_", "expect_query_", "unexpected_rows_")


def read_suite(path: str) -> tuple[dict[str, Any], ...]:
    """Read the expectations of a suite file: JSON, or YAML by its suffix ``.yaml`` or ``.yml``.

    :raises SpecError: when there is no such file, it is not a suite, or it is empty.
    """
    subject = f"validation.suite {path!r}"
    is_yaml = Path(path).suffix.lower() in (".yaml", ".yml")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        document = yaml.safe_load(text) if is_yaml else json.loads(text)
    except OSError as error:
        raise SpecError(f"{subject} can't be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SpecError(f"{subject} is not {'YAML' if is_yaml else 'JSON'}: {error}") from error
    expectations = document.get("expectations") if isinstance(document, Mapping) else None
    return _entries(expectations, subject)


def suite_of(made: object, subject: str) -> tuple[dict[str, Any], ...]:
    """Return the expectations of what a function made: a Great Expectations suite, or a list.

    :param made: an ``ExpectationSuite``, or a list of expectations or of ``{"type", "kwargs", "severity"}``.
    :param subject: the function's import path, for messages.
    :raises SpecError: when it is something else, or empty.
    """
    expectations = getattr(made, "expectations", made)
    if not isinstance(expectations, list | tuple):
        raise SpecError(
            f"validation.function {subject!r} gave {type(made).__name__}; a great_expectations.ExpectationSuite or a "
            f"list of expectations was expected. Nothing was checked."
        )
    entries = [_entry_of(each) for each in expectations]
    return _entries(entries, f"validation.function {subject!r}")


def _entry_of(expectation: Any) -> Any:
    """Return what a Great Expectations object is in a suite's JSON, and anything else as it is."""
    configuration = getattr(expectation, "configuration", expectation)
    return configuration.to_json_dict() if hasattr(configuration, "to_json_dict") else configuration


def _entries(expectations: Any, subject: str) -> tuple[dict[str, Any], ...]:
    if not expectations:
        raise SpecError(f"{subject} has no expectations, and nothing checked is no pass.")
    if not isinstance(expectations, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("type"), str) and isinstance(entry.get("kwargs", {}), dict)
        for entry in expectations
    ):
        raise SpecError(
            f"{subject}: `expectations` must be a list of objects that have a `type` and may have `kwargs`, an object."
        )
    return tuple({key: _plain(value) for key, value in entry.items()} for entry in expectations)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; YAML reads dates, and code may hold sets."""
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value


def check_suite(expectations: Sequence[Mapping[str, Any]]) -> None:
    """See that every expectation is one, with arguments that it takes, whatever answers it in the end.

    :raises SpecError: for an unknown type, severity, setting or argument, and for a required argument not given.
    """
    problems = [f"expectations[{index}] {text}" for index, entry in enumerate(expectations) for text in _faults(entry)]
    if problems:
        raise SpecError(f"validation: {len(problems)} thing(s) in the suite can't be used.\n{bounded_lines(problems)}")


def _faults(entry: Mapping[str, Any]) -> list[str]:
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in REQUIRED:
        return [f"is of the type {kind!r}, which Great Expectations has not.{did_you_mean(str(kind), REQUIRED)}"]
    kwargs = entry.get("kwargs", {})
    if not isinstance(kwargs, Mapping):
        return [f"({kind}): kwargs must be a mapping, found {type(kwargs).__name__}."]
    severities = [str(severity) for severity in Severity]
    takes = (*REQUIRED[kind], *OPTIONAL[kind])
    faults = []
    if entry.get("severity") is not None and entry["severity"] not in severities:
        faults.append(f"severity {entry['severity']!r} is none of {', '.join(severities)}.")
    faults += [f"unknown setting {key!r}.{did_you_mean(key, _SETTINGS)}" for key in entry if key not in _SETTINGS]
    faults += [
        f"unknown argument {key!r}.{did_you_mean(key, takes)} It takes {bounded(takes, 12)}."
        for key in kwargs
        if key not in (*takes, *COMMON)
    ]
    faults += [f"the argument {key!r} is required." for key in REQUIRED[kind] if kwargs.get(key) is None]
    faults += ["the argument 'value_set' is empty."] if kwargs.get("value_set") in ([], ()) else []
    if isinstance(kwargs.get("value_set"), str):
        faults.append(f"the argument 'value_set' must be a list, found {kwargs['value_set']!r}.")
    faults += _bad_share(kwargs)
    return [f"({kind}): {fault}" for fault in faults]


def _bad_share(kwargs: Mapping[str, Any]) -> list[str]:
    mostly = kwargs.get("mostly", 1)
    if isinstance(mostly, int | float) and not 0 <= mostly <= 1:
        return [f"mostly must be from 0 to 1, found {mostly!r}."]
    return []


def columns_of(expectations: Sequence[Mapping[str, Any]], columns: Sequence[Any]) -> list[str]:
    """Return the names of the columns that expectations look at, so that no other column has to be read.

    :param columns: of the snapshot; each has a ``name``.
    :returns: in the order of the snapshot; all where an expectation is about the whole table, or has a condition.
    """
    names = [str(column.name) for column in columns]
    wanted: set[str] = set()
    for entry in expectations:
        kwargs = entry.get("kwargs") or {}
        if str(entry["type"]).startswith(_WHOLE_TABLE) or kwargs.get("row_condition") is not None:
            return names
        several = kwargs.get("column_list")
        wanted |= {kwargs[key] for key in _COLUMNS if isinstance(kwargs.get(key), str)}
        wanted |= set(several) if isinstance(several, list | tuple) else set()
    return [name for name in names if name in wanted] or names[:1]
