"""What happens to a version once it is blessed."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from airflow_mlops.errors import SpecError
from airflow_mlops.specs._base import Spec

__all__ = ["PromotionSpec", "version_number"]


class PromotionSpec(Spec):
    """What a blessed version becomes.

    :param policy: ``automatic`` makes it champion; ``hold`` only registers it.
    :param approval: ``required``: a person approves each promotion in Airflow, before it happens.
    :param approvers: names of the Airflow users who may answer; empty: whoever may run the DAG. They need that
        permission, too.
    :param approval_timeout: how long an answer is waited for; after that the version is declined. No other run of the
        DAG starts in the meantime.
    """

    policy: Literal["automatic", "hold"] = "automatic"
    approval: Literal["none", "required"] = "none"
    approvers: tuple[str, ...] = ()
    approval_timeout: timedelta = Field(default=timedelta(days=3), gt=timedelta())

    @property
    def needs_approval(self) -> bool:
        """Whether nothing is promoted without a person's approval."""
        return self.approval == "required"

    @property
    def asks_only_the_undecided(self) -> bool:
        """Whether a person, where one is asked at all, is asked only of what the gate could not decide."""
        return not self.needs_approval


def version_number(name: str, setting: int | str | None) -> int | None:
    """Return a version that may have been given as text, such as a template gives; nothing and empty text are ``None``.

    :param name: of the setting, for the message.
    :raises SpecError: when it is no number.
    """
    text = str(setting or "").strip()
    if text and not text.isdigit():
        raise SpecError(f"{name} {text!r} is no version number. Nothing was changed.")
    return int(text) if text else None
