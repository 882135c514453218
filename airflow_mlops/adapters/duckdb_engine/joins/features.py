"""DuckDB: makes the rows to train on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import BATCH_ROWS, connect, name, stored, stream
from airflow_mlops.errors import DataError, bounded, did_you_mean
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["feature_rows"]


@contextlib.contextmanager
def feature_rows(parquet: str, data: DatasetSpec) -> Iterator[pa.RecordBatchReader]:
    """Stream the rows to train on: the snapshot's own, or those of ``data.features`` over table ``dataset``.

    SQL promises no order, so the rows of a query come out sorted, by the timestamp first.

    :raises DataError: when the query fails, is no single ``SELECT``, lacks the timestamp or has a name twice.
    """
    if data.features is None:
        with stream(f"FROM {stored(parquet)}", subject="The snapshot") as rows:
            yield rows
        return
    with connect("data.features", advice="Nothing was split. Fix the query, which reads the table dataset.") as engine:
        engine.execute(f"CREATE TEMP VIEW dataset AS FROM {stored(parquet)}")
        made = _made_by(engine, data.features)
        _require_columns(made.columns, data.timestamp)
        first = f"{name(data.timestamp)}, " if data.timestamp else ""
        yield made.order(f"{first}COLUMNS(*)").to_arrow_reader(BATCH_ROWS)


def _made_by(engine: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """Return what a query gives, alone, so that the engine's errors show it as it was written."""
    statements = engine.extract_statements(query)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise DataError(
            f"data.features has {len(statements)} statement(s); a single SELECT over the table dataset is required. "
            f"Nothing was split. Fix the query."
        )
    return engine.sql(statements[0].query)


def _require_columns(columns: list[str], timestamp: str | None) -> None:
    if timestamp and timestamp not in columns:
        raise DataError(
            f"data.features: the timestamp column {timestamp!r} is not in the data. Columns: {bounded(columns, 20)}."
            f"{did_you_mean(timestamp, columns)} Nothing was split. Select it too."
        )
    folded = [column.casefold() for column in columns]
    twice = [column for place, column in enumerate(columns) if column.casefold() in folded[:place]]
    if twice:
        raise DataError(
            f"data.features gives columns of the same name: {bounded(twice)}. Nothing was split. Leave them out, or "
            f"name them apart with AS."
        )
