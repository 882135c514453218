"""Who is notified of what came of a run."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, import_path_of

__all__ = ["NotificationEvent", "NotificationSpec"]

NotificationEvent: TypeAlias = Literal["promoted", "rejected", "rolled_back", "waiting_for_approval", "alert"]
"""What people are told of. ``rejected`` is also what could not be decided, and what a person declined."""


class NotificationSpec(Spec):
    """One of Airflow's notifiers, and what it is called for.

    It is imported only when there is something to tell. Its settings are templates, with ``mlops.subject``,
    ``mlops.text`` (what happened, why, and what to do next), ``mlops.url`` and ``mlops.event``, beside all that
    Airflow's templates know.

    :param notifier: the class, or its import path, such as
        ``airflow.providers.slack.notifications.slack.SlackNotifier``.
    :param settings: its arguments, such as ``{"slack_conn_id": "slack", "text": "{{ mlops.text }}"}``. What is secret
        belongs into a connection.
    :param events: what it is called for; by default everything.
    """

    notifier: str = Field(pattern=r".[.:].")
    settings: dict[str, Any]
    events: tuple[NotificationEvent, ...] = get_args(NotificationEvent)

    @field_validator("notifier", mode="before")
    @classmethod
    def _as_import_path(cls, value: Any) -> Any:
        return import_path_of(value)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if "mlops." not in str(self.settings):
            raise ValueError("no setting says what happened; use {{ mlops.text }} in the one that is the message")
        return self
