"""Where the data comes from, and what is joined to it."""

from __future__ import annotations

import codecs
import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from airflow_mlops.specs._base import Spec, import_path_of, time_setting

__all__ = ["AthenaSpec", "CsvSpec", "DatasetSpec", "FeatureTable"]


class CsvSpec(Spec):
    """How CSV files are written. What is not said is as RFC 4180 has it, in UTF-8 with a header.

    :param delimiter: between fields; ``None``: found by looking at the files.
    :param quote: around fields that hold a delimiter.
    :param decimal: the decimal sign of numbers.
    :param thousands: the sign between groups of digits; ``None``: there is none.
    :param encoding: any that Python knows. A byte order mark is skipped.
    :param missing_values: texts that stand for a missing value.
    :param header: whether the first line of each file names the columns.
    :param columns: the names of the columns where there is no header. With one, the names that it may hold, in any
        order: then they may look like values, as ``2024`` does.
    :param types: DuckDB types by column, such as ``{"zip": "VARCHAR"}``. The others are found from all rows.
    :param timestamp_format: how dates and times are written, in the directives of ``strptime``; ``None``:
        ISO 8601. Text in another form stays text, because 01/02/2026 may be either of two days.
    :param skip_initial_space: leave out the spaces after a delimiter.
    :param final_newline: whether a last line without an end is refused; that is how a file looks that was cut off.
    """

    delimiter: str | None = Field(default=None, min_length=1, max_length=4)
    quote: str = Field(default='"', max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8"
    missing_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
    header: bool = True
    columns: tuple[str, ...] | None = None
    types: dict[str, str] = Field(default_factory=dict)
    timestamp_format: str | None = None
    skip_initial_space: bool = False
    final_newline: Literal["required", "optional"] = "required"

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError("Python knows no such encoding; try utf-8, cp1252 or utf-16") from error

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        if not self.header and not self.columns:
            raise ValueError("without a header the columns have no names: give `columns`")
        if self.columns and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` has a name twice")
        if self.decimal in (self.delimiter, self.thousands):
            raise ValueError(f"{self.decimal!r} can't be the decimal sign and the delimiter or thousands sign at once")
        if self.quote and self.quote == self.delimiter:
            raise ValueError(f"{self.quote!r} can't be the quote and the delimiter at once")
        return self


class AthenaSpec(Spec):
    """Where Athena runs a query. The connection is one of type ``aws``.

    :param database: the database that the query's tables are in.
    :param output_location: an ``s3://`` folder for the unloaded Parquet files; a folder of its own is made in it.
    :param workgroup: the Athena workgroup.
    :param catalog: the data catalog.
    """

    database: str = Field(min_length=1)
    output_location: str = Field(pattern=r"^s3://[^/]+")
    workgroup: str = "primary"
    catalog: str = "AwsDataCatalog"


_OWNERS = {"format": "path", "partitioned": "path", "csv": "path", "function_params": "function"}
"""Settings that belong to one kind of source, and what says that it is of this kind."""


class DatasetSpec(Spec):
    """One dataset: files, a query to a database, or what a function gives. Set one of the three.

    :param path: a file, a folder or a glob, local or on ``s3://``. ``$NAME`` and ``${NAME}`` are read from the
        environment.
    :param query: a ``SELECT`` that the database at ``conn_id`` answers, or Athena where ``athena`` is set.
    :param function: the import path of ``load(window_start, window_end, **function_params)``, which gives a pandas
        data frame, an Arrow table, an Arrow reader, or an iterable of such pieces.
    :param conn_id: the Airflow connection: the database's for ``query``, one of type ``aws`` for ``s3://`` and
        Athena. Local files need none.
    :param format: of the files; by default taken from the file names' suffix.
    :param csv: how CSV files are written.
    :param partitioned: whether folders such as ``day=2026-01-31`` are columns (Hive partitions).
    :param athena: where Athena runs the query.
    :param function_params: more arguments for the function.
    :param timestamp: the column that says when a row was true. It is what windows and time splits cut,
        and may never be null. It may be a partition's.
    :param window_start: first time that belongs to the dataset, ISO 8601, in UTC unless it says otherwise;
        ``None``: no lower bound.
    :param window_end: first time that does not belong any more; ``None``: no upper bound.
    :param trailing: length of a window that ends at ``window_end``, or at the time of the run, as an ISO 8601
        duration (``P30D``) without months and years, which differ in length.
    :param since_last_snapshot: take only rows that are later than all that a validation accepted. What it halted, or
        what never came to it, is taken again; where nothing is ever validated, everything is taken each time. A
        time that lay in the future when it was taken does not count as accepted. Rows without a timestamp are
        taken each time: nobody can tell whether they are new, and the validation has to see them.
    :param features: a ``SELECT`` over the table ``dataset`` (the validated snapshot) that gives the rows to
        train on: lags, joins, the target. ``None``: the snapshot's own columns. Transformations of a
        single row belong in the estimator instead, where serving has them too.
    :param feature_tables: what is joined to each row as it was known at the row's timestamp. ``features`` sees
        the joined columns.
    """

    path: str | None = Field(default=None, min_length=1)
    query: str | None = Field(default=None, min_length=1)
    function: str | None = None
    conn_id: str | None = None
    format: Literal["csv", "parquet", "jsonl"] | None = None
    csv: CsvSpec = Field(default_factory=CsvSpec)
    partitioned: bool = False
    athena: AthenaSpec | None = None
    function_params: dict[str, JsonValue] = Field(default_factory=dict)
    timestamp: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    trailing: timedelta | None = Field(default=None, gt=timedelta(0))
    since_last_snapshot: bool = False
    features: str | None = None
    feature_tables: tuple[FeatureTable, ...] = ()

    @field_validator("path")
    @classmethod
    def _expand(cls, path: str | None) -> str | None:
        if path is None:
            return None
        expanded = os.path.expanduser(os.path.expandvars(path))
        unset = re.findall(r"\$\{?(\w+)\}?", expanded)
        if unset:
            raise ValueError(f"environment variable {unset[0]!r} is not set; set it, or write the path out")
        return expanded

    @field_validator("function", mode="before")
    @classmethod
    def _as_import_path(cls, value: Any) -> Any:
        return import_path_of(value)

    @field_validator("window_start", "window_end", "trailing", mode="before")
    @classmethod
    def _empty_is_open(cls, moment: Any) -> Any:
        return time_setting(moment)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [name for name in ("path", "query", "function") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"give one of `path`, `query` and `function`, found {' and '.join(given) or 'none'}")
        if self.query and not self.conn_id:
            raise ValueError("`query` needs `conn_id`, the Airflow connection to the database")
        if self.athena and not self.query:
            raise ValueError("`athena` needs `query`, the SELECT that it runs")
        for name, owner in _OWNERS.items():
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if getattr(self, name) != default and not getattr(self, owner):
                raise ValueError(f"`{name}` says nothing without `{owner}`: leave it out")
        if self.conn_id and not self.query and not (self.path or "").startswith("s3://"):
            raise ValueError("`conn_id` says nothing here: only a query and a path on s3:// need a connection")
        return self

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if (self.window_start or self.window_end or self.trailing or self.since_last_snapshot) and not self.timestamp:
            raise ValueError("a window needs `timestamp`, the column that it cuts")
        starts = [name for name in ("window_start", "trailing", "since_last_snapshot") if getattr(self, name)]
        if len(starts) > 1:
            raise ValueError(f"{' and '.join(f'`{name}`' for name in starts)} each set the window's start: keep one")
        try:
            low, high = (bound and in_utc(bound) for bound in (self.window_start, self.window_end))
        except OverflowError as error:
            raise ValueError("in UTC the window reaches beyond the years from 1 to 9999") from error
        if low and high and low >= high:
            raise ValueError(f"window_start {self.window_start} is not before window_end {self.window_end}")
        return self

    @model_validator(mode="after")
    def _can_join(self) -> Self:
        if self.feature_tables and not self.timestamp:
            raise ValueError("`feature_tables` need `timestamp`: what was known is a question of when")
        names = [table.name.lower() for table in self.feature_tables]
        if len(set(names)) != len(names):
            raise ValueError("`feature_tables` has a name twice")
        return self

    @property
    def is_on_aws(self) -> bool:
        """Whether it is read from S3 or by Athena."""
        return self.athena is not None or (self.path or "").startswith("s3://")

    @property
    def subject(self) -> str:
        """What the data is called in messages."""
        if self.path:
            return f"The files at {self.path!r}"
        return f"The query to {self.conn_id!r}" if self.query else f"The function {self.function!r}"


class FeatureTable(Spec):
    """What was known of something at each time: weather by station, balances by customer, prices by article.

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


def in_utc(moment: datetime) -> datetime:
    """Return the time in UTC, which it is in already if it does not say otherwise."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


DatasetSpec.model_rebuild()
