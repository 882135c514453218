"""When it is worth training again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, time_setting

__all__ = ["RetrainPolicy"]


class RetrainPolicy(Spec):
    """What a run needs in order to train.

    A person's *force*, a first version, and changed code or parameters are always enough; what is broken, or was
    brought to an end before, never is.

    :param when: ``new_data`` trains on whatever data is new; ``evidence`` wants it to have drifted, or the champion to
        have become worse, in ``min_alerts`` of the last ``of`` runs.
    :param min_alerts: how many of the last ``of`` runs must have had the same alert. A training begins the count anew.
        Of runs that look at the same rows the last one counts.
    :param of: see ``min_alerts``.
    :param max_age: a training is due once the last one is so old, whatever the evidence; ``None``: never.
    :param cooldown: time after a training in which nothing but force trains again.
    :param max_per_week: trainings in seven days, beyond which nothing but force trains again; ``None``: no limit.
    """

    renamed = {"alarms": "min_alerts"}

    when: Literal["new_data", "evidence"] = "new_data"
    min_alerts: int = Field(default=1, ge=1)
    of: int = Field(default=1, ge=1)
    max_age: timedelta | None = Field(default=None, gt=timedelta())
    cooldown: timedelta = Field(default=timedelta(), ge=timedelta())
    max_per_week: int | None = Field(default=None, ge=1)

    @field_validator("max_age", "cooldown", mode="before")
    @classmethod
    def _have_a_unit(cls, value: Any) -> Any:
        return time_setting(value)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.min_alerts > self.of:
            raise ValueError(f"min_alerts {self.min_alerts} of {self.of} runs can never be; raise `of`")
        if self.when == "new_data" and (self.of > 1 or self.max_age):
            raise ValueError(
                "`min_alerts`, `of` and `max_age` are for `when: evidence`; with new_data nothing waits for them"
            )
        return self
