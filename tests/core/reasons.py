"""What tests ask of reasons: the one of a rule, and whether its sentence can be made of the stored document."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import TypeAdapter

from airflow_mlops.core.reason import Reason
from airflow_mlops.core.values import Value

_REASONS = TypeAdapter(tuple[Reason, ...], config=Value.__pydantic_config__)


def only(reasons: Iterable[Reason], rule: str) -> Reason:
    """Return the reason of a rule, of which there must be one."""
    (found,) = [reason for reason in reasons if reason.rule == rule]
    return found


def reread(*reasons: Reason) -> tuple[Reason, ...]:
    """Return reasons as they are read from a stored document."""
    return _REASONS.validate_python(json.loads(json.dumps(json.loads(_REASONS.dump_json(reasons)), sort_keys=True)))
