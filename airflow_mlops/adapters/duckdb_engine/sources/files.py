"""DuckDB: reads source files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import fsspec
import pyarrow as pa

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, open_engine, paths
from airflow_mlops.adapters.duckdb_engine.sources.csv import CsvSource
from airflow_mlops.adapters.duckdb_engine.sources.faults import engine_fault
from airflow_mlops.adapters.duckdb_engine.sources.json_lines import json_lines_sql
from airflow_mlops.adapters.duckdb_engine.sources.parquet_kinds import require_same_kinds, unnamed_index
from airflow_mlops.adapters.duckdb_engine.sources.partitions import partition_types, require_apart
from airflow_mlops.adapters.duckdb_engine.sources.text_types import misfit_column
from airflow_mlops.core.data.snapshot import Window, resolve_window
from airflow_mlops.errors import DataError, bounded, did_you_mean
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["TypesWidenedError", "format_of", "scan_source"]

_BATCH_ROWS = 65_536
_FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}

_DURATIONS = {str(kind): kind for kind in map(pa.duration, ("s", "ms", "us", "ns"))}
_MEMORY_LIMIT = "512MB"  # rows only pass through


class TypesWidenedError(Exception):
    """A value does not have the type that a sample of its column had.

    Drop the rows that were read, and call :func:`scan_source` again with ``exact_types=True``.
    """


@contextlib.contextmanager
def scan_source(
    data: DatasetSpec,
    files: Sequence[Path | str],
    window: Window | None = None,
    *,
    filesystem: Any = None,
    scratch: Path | None = None,
    exact_types: bool = False,
    is_sorted: bool = False,
) -> Iterator[pa.RecordBatchReader]:
    """Stream the rows of files that lie in a window, in the order of the files.

    Columns are matched by name and a column that a file lacks is null in its rows. Rows whose timestamp is
    null or no timestamp stay in, whatever the window: it is the validation that has to see them.

    The types of CSV columns are those of a sample; a value that turns out not to be of its column's type
    ends the reading with :class:`TypesWidenedError`.

    No number or key changes: a column of CSV or JSON lines is text where a double would change an integer of it or
    has no room for a number, and Parquet files whose types would do that to each other are refused. What is cut: of
    CSV and JSON lines, the digits of a time below the microsecond, and those of a decimal number beyond the 15 to 17
    that a double has. Parquet's nanoseconds and decimals stay.

    :param window: by default the spec's own, which may not depend on the time or on earlier snapshots.
    :param filesystem: an fsspec file system for the paths; ``None``: the local one. Where it has an attribute
        ``failure`` that is set, that is what is raised.
    :param scratch: a folder for temporary copies; ``None``: one of the system's.
    :param exact_types: find the types of CSV columns from all rows, which reads the files twice.
    :param is_sorted: sort the rows by all of their columns, where the files come in no order of their own.
    :raises DataError: when the files can't be read, or lack the timestamp column that the window needs.
    :raises UnavailableError: when the engine or the storage fails.
    """
    names = [str(file) for file in files]
    with contextlib.ExitStack() as stack:
        if scratch is None:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airflow-mlops-")))
        scan = _Scan(data, names, filesystem or fsspec.filesystem("file"), scratch)
        stack.callback(scan.connection.close)
        yield scan.rows(window or _fixed_window(data), exact_types=exact_types, is_sorted=is_sorted)


class _Scan:
    def __init__(self, data: DatasetSpec, files: Sequence[str], filesystem: Any, scratch: Path) -> None:
        self._data, self._files, self._filesystem, self._scratch = data, files, filesystem, scratch
        self._csv: CsvSource | None = None
        self._explain: Callable[[str], Exception | None] = lambda _: None
        self._parquet: Sequence[str] = ()
        self._durations: dict[str, pa.DataType] = {}
        self.connection = open_engine(str(scratch), _MEMORY_LIMIT)
        self.connection.execute("SET autoinstall_known_extensions = false")
        if "file" not in _protocols(filesystem):
            self.connection.register_filesystem(filesystem)

    def rows(self, window: Window, *, exact_types: bool, is_sorted: bool) -> pa.RecordBatchReader:
        try:
            relation = self.connection.sql(self._sql(exact_types=exact_types))
            condition = _condition(relation, self._data, window)
            meant = relation.filter(condition) if condition else relation
            reader = (meant.order("ALL") if is_sorted else meant).to_arrow_reader(_BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            self._fail(error)
        fields = [field.with_type(self._durations.get(field.name, field.type)) for field in reader.schema]
        schema = pa.schema(fields)
        return pa.RecordBatchReader.from_batches(schema, self._batches(reader, schema))

    def _batches(self, reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Give the batches; what fails while they are read is no error of whom they are given to."""
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                self._fail(error)
            yield batch.cast(schema) if self._durations else batch

    def _sql(self, *, exact_types: bool) -> str:
        kind = format_of(self._data, self._files)
        if kind == "csv":
            return self._csv_sql(exact_types=exact_types)
        partitions = partition_types(self._files) if self._data.partitioned else {}
        options = _options(partitions)
        if kind == "jsonl":
            return json_lines_sql(self.connection, self._data, self._files, options, partitions)
        self._parquet = self._files
        kinds = require_same_kinds(self.connection, self._files, self._data.subject)
        require_apart(kinds, partitions, self._data.subject)
        self._durations = {column: _DURATIONS[kind] for column, kind in kinds.items() if kind in _DURATIONS}
        index = unnamed_index(kinds, self._data.subject)
        meant = f"* EXCLUDE ({name(index)})" if index else "*"
        return f"SELECT {meant} FROM read_parquet({paths(self._files)}, union_by_name = true, {options})"

    def _csv_sql(self, *, exact_types: bool) -> str:
        source = CsvSource(self._data, self._files, filesystem=self._filesystem, scratch=self._scratch)
        self._csv = source
        readings = source.readings(self.connection, exact=exact_types)

        is_parsed = any(reading.parsed_as != "VARCHAR" for reading in readings.values())

        def explain(message: str) -> Exception | None:
            column = misfit_column(message)
            if column in self._data.csv.types:
                return source.misfit(self.connection, readings[column])
            if column is None and is_parsed and "Conversion Error" in message:  # the parser's own
                column = message.splitlines()[0]
            return TypesWidenedError(column) if column is not None else None

        self._explain = explain
        return source.sql(readings)

    def _fail(self, error: Exception) -> NoReturn:
        failure = getattr(self._filesystem, "failure", None)
        if failure is not None:
            raise failure from error
        originals = self._csv.originals if self._csv else {}
        fault = self._explain(str(error)) or engine_fault(
            error, self._data, filesystem=self._filesystem, originals=originals, parquet=self._parquet
        )
        raise fault from error


def format_of(data: DatasetSpec, files: Sequence[str]) -> str:
    """Return of which format files are: ``csv``, ``parquet`` or ``jsonl``.

    :raises DataError: when that is not known, or they are of several.
    """
    if data.format:
        return data.format
    suffixes = {Path(file.lower().removesuffix(".gz")).suffix for file in files}
    found = sorted({_FORMATS.get(suffix, suffix) for suffix in suffixes})
    if len(found) != 1 or found[0] not in _FORMATS.values():
        raise DataError(
            f"The files at {data.path!r} are of kind {bounded(found)}; one of csv, parquet and jsonl was expected. "
            f"Narrow data.path to one kind, or set data.format."
        )
    return found[0]


def _options(partitions: Mapping[str, str]) -> str:
    if not partitions:
        return "hive_partitioning = false"
    types = ", ".join(f"{name(key)}: {kind}" for key, kind in partitions.items())
    return f"hive_partitioning = true, hive_types = {{{types}}}"


def _condition(relation: duckdb.DuckDBPyRelation, data: DatasetSpec, window: Window) -> str | None:
    if not data.timestamp:
        return None
    if data.timestamp not in relation.columns:
        raise DataError(
            f"{data.subject}: the timestamp column {data.timestamp!r} is not in the data. Columns: "
            f"{bounded(relation.columns, 20)}.{did_you_mean(data.timestamp, relation.columns)}"
        )
    if window.is_open:
        return None
    column = name(data.timestamp)
    if str(relation.types[relation.columns.index(data.timestamp)]) in ("VARCHAR", "TIMESTAMPTZ_NS"):
        # A cast to TIMESTAMP would drop the zone of a text, and there is none of nanoseconds with a zone.
        column = f"TRY_CAST({column} AS TIMESTAMPTZ)"
    moment = f"TRY_CAST({column} AS TIMESTAMP)"
    bounds = [f"{moment} >= {literal(window.start)}"] if window.start else []
    bounds += [f"{moment} < {literal(window.end)}"] if window.end else []
    return f"({' AND '.join(bounds)}) OR {moment} IS NULL"


def _fixed_window(data: DatasetSpec) -> Window:
    if data.trailing or data.since_last_snapshot:
        raise ValueError("a window that depends on the time or on earlier snapshots has to be given")
    return resolve_window(data, now=datetime.min.replace(tzinfo=UTC))


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
