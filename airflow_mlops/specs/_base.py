"""What every spec shares: frozen, no unknown keys, errors with the path to the mistake."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from airflow_mlops.errors import SpecError, did_you_mean

__all__ = ["Duration", "Spec", "cron_setting", "import_path_of", "shown_duration", "time_setting"]


_NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MONTHS = re.compile(r"[+-]?P[^T]*[MY]", re.IGNORECASE)
_PARAM = re.compile(r"^:param (\w+):", re.MULTILINE)
_QUOTED = re.compile(r"'([^']*)'")

_CRON_NAMES = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_WRITE_DURATION = "write a duration as P30D or PT6H"
_WRITE_MOMENT = "write a time as 2026-01-31 or 2026-01-31T06:00"
_FORMS = {
    "model_type": "must be a mapping of settings",
    "model_attributes_type": "must be a mapping of settings",
    "time_delta_type": _WRITE_DURATION,
    "time_delta_parsing": _WRITE_DURATION,
    "datetime_type": _WRITE_MOMENT,
    "datetime_parsing": _WRITE_MOMENT,
    "datetime_from_date_parsing": _WRITE_MOMENT,
}
"""By pydantic's kind of error: how the setting is written."""


class Spec(BaseModel):
    """A part of what a user declares.

    Specs are frozen pydantic models that refuse unknown keys, so that a typo in YAML is an error with its
    path. Build one from untrusted input with :meth:`parse`; that and the constructor raise
    :class:`~airflow_mlops.errors.SpecError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Settings of earlier versions, and what they are called now; the old name is refused with the new one."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(_explain(error, type(self))) from error

    # Without this mark pydantic would call ``__init__`` for nested specs too, and their errors would lose
    # the path that leads to them.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe each setting by its ``:param`` text, where the class has one."""
        schema = handler(core_schema)
        described = handler.resolve_ref_schema(schema)
        summary, texts = _read_docstring(cls)
        described["description"] = summary
        for name, setting in described.get("properties", {}).items():
            if name in texts:
                setting.setdefault("description", texts[name])
        return schema

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
        path = ".".join(str(part) for part in detail["loc"] if part != "[key]")
        lines.append(f"  {path}: {_complaint(detail, spec)}" if path else f"  {_complaint(detail, spec)}")
    return "\n".join(lines)


def _complaint(detail: ErrorDetails, spec: type[BaseModel]) -> str:
    """Say what is wrong with one setting, in the words of whoever writes specs."""
    kind, place, found, context = detail["type"], detail["loc"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(place[-1]), _specs_at(spec, place[:-1]))
    if kind == "missing":
        return "is required."
    if kind == "union_tag_not_found":
        known = (str(each.model_fields["type"].default) for each in _specs_at(spec, place))
        return f"say its `type`. Known: {', '.join(sorted(known))}."
    if kind == "union_tag_invalid":
        tag, types = context["tag"], _QUOTED.findall(context["expected_tags"])
        return f"there is no type {tag!r}.{_suggestion(tag, types)}"
    if kind == "literal_error" and isinstance(found, str):
        return f"there is no {_short(found)}.{_suggestion(found, _QUOTED.findall(context['expected']))}"
    if kind in _FORMS:
        return f"{_FORMS[kind]} (found {_short(found)})"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    says_it_itself = kind == "value_error" and isinstance(found, Mapping)
    return message if says_it_itself else f"{message} (found {_short(found)})"


def _suggestion(name: str, known: Iterable[str]) -> str:
    listed = sorted(known)
    return f"{did_you_mean(name, listed)} Known: {', '.join(listed)}."


def _unknown_key(name: str, specs: Sequence[type[BaseModel]]) -> str:
    """Say what a key is called now, or which keys are known where it stands."""
    for each in specs:
        if issubclass(each, Spec) and name in each.renamed:
            return f"is called `{each.renamed[name]}` now."
    return f"unknown key.{_suggestion(name, specs[0].model_fields if specs else ())}"


def _specs_at(spec: type[BaseModel], path: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Follow ``path`` through nested specs and return what may stand there, several in the place of a union."""
    specs = [spec]
    for part in path:
        tagged = [each for each in specs if "type" in each.model_fields and each.model_fields["type"].default == part]
        field = specs[0].model_fields.get(str(part))
        if tagged:
            specs = tagged  # the tag of a union
        elif field is not None:
            specs = _nested_specs(field.annotation)
        if not specs:
            return []
    return specs


def _nested_specs(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in getattr(annotation, "__args__", ()) for found in _nested_specs(argument)]


def _read_docstring(spec: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Return what a spec's docstring says of it, and of each setting, also of those that it inherits."""
    texts: dict[str, str] = {}
    for each in reversed(spec.__mro__):
        parts = _PARAM.split(inspect.cleandoc(each.__doc__ or "")) if issubclass(each, Spec) else [""]
        texts |= {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return _PARAM.split(inspect.getdoc(spec) or "")[0].strip(), texts


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
    """Return a time or a duration as it was given, and nothing for the empty text of a template.

    :raises ValueError: when it is a bare number, also as text, of which nobody sees the unit, or a duration in months
        or years, which differ in length.
    """
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int | float) or _NUMBER.fullmatch(text):
        raise ValueError("write a duration as P30D or PT6H and a time as 2026-01-31, not as a number")
    if _MONTHS.match(text):
        raise ValueError("months and years differ in length: write days, such as P30D or P365D")
    return None if isinstance(value, str) and not text else value


def cron_setting(text: str) -> str:
    """Return a cron expression as it was given.

    :raises ValueError: when Airflow would not understand it, or it means no time at all.
    """
    from croniter import CroniterError, croniter

    try:
        if text not in _CRON_NAMES:
            croniter(text, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
    except CroniterError as error:
        why = str(error).rstrip(". ")
        raise ValueError(
            f"is no cron expression: {why}. Write minute, hour, day, month and weekday, such as `0 6 * * *`, or one of "
            f"{', '.join(_CRON_NAMES)}"
        ) from error
    return text


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
