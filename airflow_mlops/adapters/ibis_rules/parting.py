"""Part the rows of a file: those that break a rule, and the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis.common.exceptions import IbisError

from airflow_mlops.adapters.ibis_rules._arguments import arguments_of, column_of
from airflow_mlops.adapters.ibis_rules._columns import POSITION, CantBeAnsweredError, CantBeCheckedError, Rows
from airflow_mlops.adapters.ibis_rules._engine import Engine, connect, read_schema
from airflow_mlops.adapters.ibis_rules._group_rules import UNIQUE_RULES, repeats
from airflow_mlops.adapters.ibis_rules._row_rules import ROW_RULES
from airflow_mlops.errors import DataError, bounded

__all__ = ["bad_rows", "good_rows", "is_row_wise"]

Expectation = Mapping[str, Any]
_REASONS = "broken_rules"
_SEPARATOR = "; "
_BATCH_ROWS = 65_536


def is_row_wise(expectation: Expectation) -> bool:
    """Tell whether single rows break this rule, and the engine can say which."""
    try:
        arguments_of(expectation)
    except CantBeAnsweredError:
        return False
    return expectation["type"] in ROW_RULES or expectation["type"] in UNIQUE_RULES


@contextlib.contextmanager
def bad_rows(parquet: str, expectations: Sequence[Expectation]) -> Iterator[pa.RecordBatchReader]:
    """Stream the rows that break at least one of the rules, in the order of the file.

    Of rows that must be unique the first is good and the later ones are bad. ``mostly`` does not count here: a row
    either breaks the rule or it doesn't.

    :returns: rows as they are stored, with a text column ``broken_rules`` more, the rules joined by ``"; "``.
    :raises DataError: when the engine can't tell the rows of a rule apart.
    :raises IntegrityError: when the file is damaged.
    :raises UnavailableError: when the file or the engine is lost.
    """
    schema = read_schema(parquet)
    name = _REASONS
    while name in schema.names:
        name += "_"

    def take(batch: pa.RecordBatch, reasons: pa.Array) -> pa.RecordBatch:
        return batch.append_column(pa.field(name, pa.string()), reasons).filter(pc.is_valid(reasons))

    with _parted(parquet, expectations, schema) as parts:
        yield _reader(schema.append(pa.field(name, pa.string())), (take(*part) for part in parts))


@contextlib.contextmanager
def good_rows(parquet: str, expectations: Sequence[Expectation]) -> Iterator[pa.RecordBatchReader]:
    """Stream the rows that break none of the rules: as they are stored, in the order of the file.

    :raises: what :func:`bad_rows` raises.
    """
    schema = read_schema(parquet)
    with _parted(parquet, expectations, schema) as parts:
        yield _reader(schema, (batch.filter(pc.is_null(reasons)) for batch, reasons in parts))


def _reader(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    filled = (batch.replace_schema_metadata(schema.metadata) for batch in batches if batch.num_rows)
    return pa.RecordBatchReader.from_batches(schema, filled)


@contextlib.contextmanager
def _parted(
    parquet: str, expectations: Sequence[Expectation], schema: pa.Schema
) -> Iterator[Iterator[tuple[pa.RecordBatch, pa.Array]]]:
    """Give the rows, read as they are stored, next to the rules that the engine finds each of them to break."""
    needs_order = any(entry["type"] in UNIQUE_RULES for entry in expectations)
    if needs_order and "file_row_number" in map(str.lower, schema.names):
        raise DataError(
            "Which rows repeat others can't be told: a column is named file_row_number, as DuckDB names what it adds. "
            "No row was set aside. Rename the column, or let the rule halt."
        )
    with connect(parquet, is_numbered=needs_order) as engine, pq.ParquetFile(parquet) as file:
        try:
            found = _reasons(engine, Rows.of(schema), expectations) if expectations else None
            yield _aligned(file, found)
        except duckdb.Error as error:
            names = bounded(_label(expectation) for expectation in expectations)
            raise DataError(
                f"Which rows break {names} can't be told: {error}. No row was set aside. Let the rules halt."
            ) from error


def _aligned(file: pq.ParquetFile, reasons: Iterator[pa.Array] | None) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    left = pa.array([], pa.string())
    for group in range(file.num_row_groups):  # one by one: pyarrow reads ahead within what it is asked for
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
            if reasons is None:
                yield batch, pa.nulls(batch.num_rows, pa.string())
                continue
            while len(left) < batch.num_rows:
                left = pa.concat_arrays([left, next(reasons)])
            yield batch, left[: batch.num_rows]
            left = left[batch.num_rows :]


def _reasons(engine: Engine, rows: Rows, expectations: Sequence[Expectation]) -> Iterator[pa.Array]:
    """Give, for each row, the rules that it breaks as one text, or NULL."""
    labels = [_label(expectation) for expectation in expectations]
    broken = {f"b{index}": _broken(engine, rows, entry) for index, entry in enumerate(expectations)}
    question = rows.table.select(**broken)
    if any(entry["type"] in UNIQUE_RULES for entry in expectations):  # a window forgets the order of the file
        question = rows.table.select(**broken, at=rows.table[POSITION]).order_by("at").drop("at")
    for batch in engine.stream(question):
        pieces = [
            pc.if_else(pc.fill_null(batch.column(index), False), f"{_SEPARATOR}{label}", "")
            for index, label in enumerate(labels)
        ]
        joined = pc.binary_join_element_wise(*pieces, "")
        text = pc.utf8_slice_codeunits(joined, len(_SEPARATOR))
        yield pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), text)


def _label(expectation: Expectation) -> str:
    about = column_of(expectation)
    return f"{expectation['type']}({about})" if about else str(expectation["type"])


def _broken(engine: Engine, rows: Rows, expectation: Expectation) -> Any:
    try:
        kwargs = arguments_of(expectation)
        if expectation["type"] in UNIQUE_RULES:
            return repeats(rows, kwargs)
        return ROW_RULES[expectation["type"]](rows, kwargs, engine).broken & ibis.literal(True)
    except (CantBeAnsweredError, CantBeCheckedError, IbisError) as reason:
        raise DataError(
            f"Which rows break {_label(expectation)} can't be told: {reason}. No row was set aside. Let the rule halt, "
            f"or leave it out."
        ) from reason
