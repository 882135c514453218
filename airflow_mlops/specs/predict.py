"""How many rows are scored at once, by which version, and where the predictions go."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from airflow_mlops.specs._base import Spec
from airflow_mlops.specs.data import DatasetSpec
from airflow_mlops.specs.inference import InferenceLogSpec
from airflow_mlops.specs.validate import ValidationSpec

__all__ = ["OWN_COLUMNS", "BatchScoringSpec", "PredictionSpec", "TableOutput"]

OWN_COLUMNS = ("prediction", "score", "model_version", "model_digest", "predicted_at")
"""What stands beside the key and the kept columns of each row."""


class TableOutput(Spec):
    """A table in PostgreSQL or SQLite that predictions are written into, by key.

    :param conn_id: the Airflow connection to the database.
    :param table: its name, or ``schema.name``. It is made if it is not there; one that is there needs the columns,
        and a primary key or a unique constraint over the key.
    """

    conn_id: str = Field(min_length=1)
    table: str = Field(pattern=r"^[^.]+(\.[^.]+)?$")


class PredictionSpec(Spec):
    """How rows are scored.

    :param model_name: the registered model.
    :param model_uri: ``models:/<model_name>@champion``, which is the default, or ``models:/<model_name>/<version>``.
    :param key: the columns that identify a row: never null, and no two rows have the same.
    :param keep: other columns that are written beside the predictions.
    :param output: a table that gets the predictions too. ``None``: they are in the storage alone.
    :param chunk_rows: rows that are held and scored at once.
    :param log: how the inference log is kept; ``None``: these predictions are not logged.
    """

    model_name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200)
    model_uri: str | None = None
    key: tuple[str, ...] = Field(min_length=1)
    keep: tuple[str, ...] = ()
    output: TableOutput | None = None
    chunk_rows: int = Field(default=131_072, ge=1)
    log: InferenceLogSpec | None = Field(default_factory=InferenceLogSpec)

    @field_validator("key", "keep", mode="before")
    @classmethod
    def _as_names(cls, names: Any) -> Any:
        return (names,) if isinstance(names, str) else names

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = (*self.key, *self.keep)
        if not all(names) or len(set(names)) != len(names):
            raise ValueError("`key` and `keep` need names of columns, each of them once")
        taken = sorted({*names} & {*OWN_COLUMNS})
        if taken:
            raise ValueError(f"`key` and `keep`: {taken} are the output's own names; rename them in the data")
        return self

    @model_validator(mode="after")
    def _names_one_version(self) -> Self:
        if self.model_uri and self.model_uri != self._champion_uri and self.model_version is None:
            raise ValueError(
                f"model_uri: write {self._champion_uri} or models:/{self.model_name}/3; nothing verifies others"
            )
        return self

    @property
    def model_version(self) -> int | None:
        """The version that is named; ``None`` for the champion."""
        named = re.fullmatch(rf"models:/{re.escape(self.model_name)}/([1-9]\d*)", self.model_uri or "")
        return int(named[1]) if named else None

    @property
    def _champion_uri(self) -> str:
        return f"models:/{self.model_name}@champion"


class BatchScoringSpec(PredictionSpec):
    """Everything that scoring a dataset needs to know: the settings of :class:`PredictionSpec`, and the rows.

    :param description: what the predictions are for, for people.
    :param data: where the rows come from. Its ``features`` and ``feature_tables`` make of them what the model reads.
    :param validation: what must be true of the rows before they are scored; ``None``: that the model
        can read them.
    """

    description: str = ""
    data: DatasetSpec
    validation: ValidationSpec | None = None

    @property
    def dataset(self) -> str:
        """The name that snapshots of the rows to score are kept under."""
        return f"{self.model_name}.batch"

    @property
    def prediction(self) -> PredictionSpec:
        """How the rows are scored, without where they come from."""
        return PredictionSpec(**{name: getattr(self, name) for name in PredictionSpec.model_fields})

    @model_validator(mode="after")
    def _scores_all_rows(self) -> Self:
        if self.data.since_last_snapshot:
            raise ValueError(
                "data.since_last_snapshot: rows that a failed run had taken would never be scored; set `trailing`"
            )
        return self
