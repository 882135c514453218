"""The trigger form: what a person may set for one run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_mlops.errors import SpecError
from airflow_mlops.specs.pipeline import PipelineSpec

__all__ = ["form_templates", "trigger_form"]

_OWN_PARAMS = ("force", "window_start", "window_end", "promotion")


def trigger_form(spec: PipelineSpec) -> dict[str, Any]:
    """Return the params of the training DAG.

    :raises SpecError: when a hyperparameter has the name of one of the form's own fields.
    """
    from airflow.sdk import Param

    taken = [name for name in spec.training.params if name in _OWN_PARAMS]
    if taken:
        raise SpecError(f"training.params: {taken} are names of the trigger form's own fields. Rename them.")
    form: dict[str, Any] = {
        "force": Param(False, type="boolean", title="Force", description="Train even if nothing has changed."),
        "promotion": Param(
            spec.promotion.policy,
            type="string",
            enum=["automatic", "hold"],
            title="Promotion",
            description="Make a blessed version champion, or only register it.",
        ),
    }
    for name, title, moment in _window_fields(spec):
        form[name] = Param(
            moment.replace(tzinfo=moment.tzinfo or UTC).isoformat() if moment else None,
            type=["null", "string"],
            format="date-time",
            title=title,
            section="Data",
        )
    for name, value in spec.training.params.items():
        form[name] = Param(value, type=_json_type(value), title=name, section="Hyperparameters")
    for param in form.values():
        param.source = "dag"  # as the DAG would note it
    return form


def form_templates(spec: PipelineSpec) -> dict[str, Any]:
    """Return what the tasks read from the form: of each setting the template, or a document with templates in it."""
    chosen = ", ".join(f"{name!r}: params[{name!r}]" for name in spec.training.params)
    window = {name: f"{{{{ params.{name} or '' }}}}" for name, _, _ in _window_fields(spec)}
    return {
        "data": spec.data.model_dump(mode="json") | window,
        "force": "{{ params.force }}",
        "hyperparameters": f"{{{{ {{{chosen}}} | tojson }}}}",
        "promotion": "{{ params.promotion }}",
    }


def _window_fields(spec: PipelineSpec) -> list[tuple[str, str, datetime | None]]:
    """Return the fields that set the data's window: name, title, value."""
    data, fields = spec.data, []
    if data.timestamp and not data.trailing and not data.since_last_snapshot:
        fields.append(("window_start", "From", data.window_start))
    if data.timestamp:
        fields.append(("window_end", "Until, exclusive", data.window_end))
    return fields


def _json_type(value: Any) -> str | list[str]:
    """Return the JSON Schema type that a form field for this value needs."""
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (Mapping, "object"),
        (list | tuple, "array"),
    ):
        if isinstance(value, kind):
            return name
    return ["null", "string", "number"]
