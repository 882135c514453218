"""DuckDB: the columns that files have, and a sample of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_mlops.adapters.duckdb_engine._engine import condition, connect, name, stored
from airflow_mlops.core.data.snapshot import RowFilter

__all__ = ["numeric_columns", "sample_rows"]

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


def numeric_columns(files: Sequence[str]) -> dict[str, bool]:
    """Return of each column of the files together whether it is of numbers.

    :raises UnavailableError: when a file is gone meanwhile.
    """
    with connect(f"{len(files)} files") as connection:
        found = connection.execute(f"DESCRIBE FROM {stored(files)}").fetchall()
    return {column: str(kind).removeprefix("U").startswith(_NUMBERS) for column, kind, *_ in found}


def sample_rows(
    parquet: str | Sequence[str], columns: Sequence[str], max_rows: int, *, only: RowFilter | None = None
) -> Any:
    """Draw about ``max_rows`` of the rows that count, evenly, as a pandas data frame.

    The draw depends on the files alone.
    """
    where = condition(only) or "true"
    rows = stored(parquet).removesuffix(")") + ", file_row_number = true, filename = 'mlops_file')"
    with connect("The sample") as connection:
        (n_rows,) = connection.execute(f"SELECT count(*) FROM {rows} WHERE {where}").fetchall()[0]
        share = min(max_rows / max(n_rows, 1), 1.0)
        listed = ", ".join(map(name, columns))
        draw = f"hash(mlops_file, file_row_number) <= {share!r}::DOUBLE * 18446744073709551615::DOUBLE"
        return connection.execute(f"SELECT {listed} FROM {rows} WHERE ({where}) AND {draw}").df()
