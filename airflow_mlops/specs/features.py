"""Tables of features that are joined to the rows to train on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec, time_setting

if TYPE_CHECKING:  # a dataset has feature tables, and a feature table comes from a dataset
    from airflow_mlops.specs.data import DatasetSpec

__all__ = ["FeatureTable"]


class FeatureTable(Spec):
    """What was known of something at each moment: weather by station, balances by customer, prices by article.

    Each row of the dataset gets the latest values of its key that were known at the row's timestamp, and never
    later ones. Where nothing was known yet, or a key is null, the values are null.

    :param name: of the table; its snapshots are kept under ``<dataset>.<name>``.
    :param source: where the table comes from, with the ``timestamp`` that its values are of. A ``features`` query
        of its own is run over it first. Two rows of one key may not have the same timestamp.
    :param key: columns that both the dataset and the table have; none: one series for all rows.
    :param columns: the values to take; ``None``: all but key and timestamp.
    :param max_age: how long a value is used, counted from its timestamp; ``None``: until there is a newer one.
    :param available_after: how long after its timestamp a value becomes known. A figure for a whole day that is
        dated by the day, which is its midnight, is known ``P1D`` later.
    :param prefix: stands before the columns' names; ``None``: the table's name and an underscore.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)
    source: DatasetSpec
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = Field(default=None, min_length=1)
    max_age: timedelta | None = Field(default=None, gt=timedelta(0))
    available_after: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    prefix: str | None = None

    @field_validator("max_age", "available_after", mode="before")
    @classmethod
    def _has_a_unit(cls, duration: Any) -> Any:
        return time_setting(duration) if duration != timedelta(0) else duration

    @field_validator("key", "columns")
    @classmethod
    def _names_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names and len(set(names)) != len(names):
            raise ValueError("has a name twice")
        return names

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name == "serving":
            raise ValueError("is the name that requests are kept under; choose another")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.source.timestamp:
            raise ValueError("source.timestamp is needed: without it nobody knows when a value was known")
        if self.source.feature_tables:
            raise ValueError("source.feature_tables: a feature table has none of its own; join them in the dataset")
        if self.source.since_last_snapshot:
            raise ValueError("source.since_last_snapshot would leave out what was known earlier; set `trailing`")
        if self.max_age is not None and self.max_age < self.available_after:
            raise ValueError("max_age is shorter than available_after: every value is too old once it is known")
        return self

    @property
    def shown_prefix(self) -> str:
        """What stands before the columns' names."""
        return f"{self.name}_" if self.prefix is None else self.prefix
