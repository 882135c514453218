"""What every spec shares: frozen, no unknown keys, errors with the path to the mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_mlops.errors import SpecError, did_you_mean

__all__ = ["Duration", "Spec", "import_path_of", "shown_duration", "time_setting"]


_NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MONTHS = re.compile(r"[+-]?P[^T]*[MY]", re.IGNORECASE)


class Spec(BaseModel):
    """A part of what a user declares.

    Specs are frozen pydantic models that refuse unknown keys, so that a typo in YAML is an error with its
    path. Build one from untrusted input with :meth:`parse`; that and the constructor raise
    :class:`~airflow_mlops.errors.SpecError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_explain(error, type(self))) from error

    # Without this mark pydantic would call ``__init__`` for nested specs too, and their errors would lose
    # the path that leads to them.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def parse(cls, document: object) -> Self:
        """Build the spec from a plain document, such as a parsed YAML file or an XCom.

        :param document: a mapping, or a spec of this class, which is returned as it is.
        :raises SpecError: when it is no mapping, a key is unknown or a value is wrong.
        """
        if isinstance(document, cls):
            return document
        if not isinstance(document, Mapping):
            raise SpecError(f"{cls.__name__}: expected a mapping of settings, found {type(document).__name__}.")
        return cls(**document)


def _explain(error: ValidationError, spec: type[BaseModel]) -> str:
    lines = [f"{spec.__name__}: {error.error_count()} setting(s) can't be used."]
    for detail in error.errors(include_url=False)[:10]:
        path = ".".join(str(part) for part in detail["loc"]) or "(whole spec)"
        if detail["type"] == "extra_forbidden":
            known = _known_keys(spec, detail["loc"][:-1])
            key = str(detail["loc"][-1])
            lines.append(f"  {path}: unknown key.{did_you_mean(key, known)} Known: {', '.join(sorted(known))}.")
        elif detail["type"] == "missing":
            lines.append(f"  {path}: is required.")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            lines.append(f"  {path}: {message} (found {_short(detail['input'])})")
    return "\n".join(lines)


def _known_keys(spec: type[BaseModel], path: tuple[int | str, ...]) -> set[str]:
    """Follow ``path`` through nested specs and return the keys that are known there."""
    specs = [spec]
    for part in path:
        tagged = [each for each in specs if "type" in each.model_fields and each.model_fields["type"].default == part]
        field = specs[0].model_fields.get(str(part))
        if tagged:
            specs = tagged  # the tag of a union
        elif field is not None:
            specs = _nested_specs(field.annotation)
        if not specs:
            return set()
    return set(specs[0].model_fields)


def _nested_specs(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in getattr(annotation, "__args__", ()) for found in _nested_specs(argument)]


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def import_path_of(value: Any) -> Any:
    """Return the import path of an object, and what is text or nothing as it is.

    :raises ValueError: when the object can't be imported by another process.
    """
    if value is None or isinstance(value, str):
        return value
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not module or not name or "<" in name or module == "__main__":
        raise ValueError("must be importable: move it to a module, or write its import path")
    return f"{module}:{name}"


def time_setting(value: Any) -> Any:
    """Return a moment or a duration as it was given, and nothing for the empty text of a template.

    :raises ValueError: when it is a bare number, also as text, of which nobody sees the unit, or a duration in months
        or years, which differ in length.
    """
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int | float) or _NUMBER.fullmatch(text):
        raise ValueError("write a duration as P30D or PT6H and a moment as 2026-01-31, not as a number")
    if _MONTHS.match(text):
        raise ValueError("months and years differ in length: write days, such as P30D or P365D")
    return None if isinstance(value, str) and not text else value


def shown_duration(duration: timedelta) -> str:
    """Return a duration, which is not below zero, as it is written in a spec.

    >>> shown_duration(timedelta(days=400, hours=36)), shown_duration(timedelta(seconds=90.5))
    ('P401DT12H', 'PT1M30.5S')
    """
    minutes, seconds = divmod(duration.seconds + duration.microseconds / 1e6, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{duration.days}D" if duration.days else ""
    time = "".join(f"{n:g}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    return f"P{days}T{time}" if time else f"P{days or '0D'}"


Duration = Annotated[timedelta, BeforeValidator(time_setting), Field(gt=timedelta(0))]
"""A length of time with a unit, above zero."""
