"""Telling people what came of a step, by Airflow's notifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlops.specs.notify import NotificationSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.observability.notifications import Notification

__all__ = ["Notifying"]


class Notifying:
    """An operator that has something to tell.

    What was done stays done when a notifier fails: that is a warning in the log.
    """

    def __init__(self, *, notifications: Sequence[NotificationSpec | Mapping[str, Any]] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notifications = notifications

    def notify(self, message: Notification | None, context: Context) -> None:
        """Call each notifier that is to be called for this."""
        for each in self.notifications if message else ():
            spec = NotificationSpec.parse(each)
            if message and message.event in spec.events:
                self._call(spec, message, context)

    def _call(self, spec: NotificationSpec, message: Notification, context: Context) -> None:
        from airflow_mlops.adapters.user_code.load import load_object

        log: Any = getattr(self, "log")  # noqa: B009  # the operator's
        try:
            notifier = load_object(spec.notifier)(**spec.settings)
            notifier({**context, "mlops": dataclasses.asdict(message)})
        except Exception as error:  # whatever a user's notifier raises
            log.warning("not told: notifier=%s error=%s: %s", spec.notifier, type(error).__name__, error)
        else:
            log.info("told: event=%s notifier=%s", message.event, spec.notifier)
