"""Times of a snapshot's rows."""

from __future__ import annotations

from datetime import datetime

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, one_row

__all__ = ["latest_moment"]


def latest_moment(parquet: str, column: str, *, until: datetime) -> datetime | None:
    """Return the largest timestamp that is not later than a time, in UTC without saying so.

    :returns: ``None`` where no value is such a timestamp.
    """
    moment = f"TRY_CAST({name(column)} AS TIMESTAMP)"
    latest: datetime | None = one_row(parquet, f"max({moment}) FILTER ({moment} <= {literal(until)})")[0]
    return latest
