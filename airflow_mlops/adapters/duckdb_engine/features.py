"""DuckDB: makes the rows to train on."""

from __future__ import annotations

import contextlib
from datetime import date, datetime

import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import connect, literal, name, stream
from airflow_mlops.errors import DataError
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["feature_rows", "time_cut"]


def feature_rows(parquet: str, data: DatasetSpec) -> contextlib.AbstractContextManager[pa.RecordBatchReader]:
    """Stream the rows to train on: the snapshot's own, or those of ``data.features`` over table ``dataset``.

    SQL promises no order, so the rows of a query come out sorted, by the timestamp first.

    :raises DataError: when the query fails.
    """
    dataset = f"(SELECT * FROM read_parquet({literal(parquet)}))"
    if data.features is None:
        return stream(f"FROM {dataset}", subject="The snapshot")
    query = data.features.strip().rstrip(";")
    sql = f"WITH dataset AS {dataset}, features AS ({query}\n) SELECT * FROM features"
    first = f"{name(data.timestamp)}, " if data.timestamp else ""
    return stream(sql, f" ORDER BY {first}COLUMNS(*)", subject="data.features", timestamp=data.timestamp)


def time_cut(parquet: str, data: DatasetSpec, test_fraction: float) -> datetime | date:
    """Return the timestamp from which on the last ``test_fraction`` of the feature rows lies.

    :raises DataError: when there is no row with a timestamp.
    """
    with feature_rows(parquet, data) as rows, connect("The time split") as connection:
        connection.register("features", rows)
        column = name(data.timestamp or "")
        sql = f"SELECT quantile_disc({column}, {1 - test_fraction}) FROM features"
        cut = connection.execute(sql).fetchone()
    moment = cut[0] if cut else None
    if not isinstance(moment, date):  # a datetime is one too
        raise DataError(
            f"The time split needs dates or timestamps in {data.timestamp!r}, and at least one row that has one; "
            f"found {moment!r}. Nothing was split."
        )
    return moment
