"""DuckDB: reads CSV files, each value as what it is or not at all."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import fsspec
from fsspec.implementations.local import LocalFileSystem

from airflow_mlops.adapters.duckdb_engine._engine import literal, name, paths
from airflow_mlops.adapters.duckdb_engine.sources.csv_heads import CsvHead, as_utf8, delimiter_of, read_head
from airflow_mlops.adapters.duckdb_engine.sources.partitions import partition_types, require_apart, require_one_case
from airflow_mlops.adapters.duckdb_engine.sources.text_types import (
    Reading,
    check_format,
    counts_of,
    find_misfit,
    mixed_zones,
    one_row,
    reading_as,
    reading_of,
)
from airflow_mlops.errors import DataError, SpecError, bounded, did_you_mean
from airflow_mlops.specs.data import DatasetSpec

__all__ = ["CsvSource"]

log = logging.getLogger(__name__)

_SAMPLE_ROWS = 20_480
_N_LOOKS = 8
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Files one after the other with the same header."""

    files: tuple[str, ...]
    names: tuple[str, ...]


class CsvSource:
    """CSV files that were looked at, and can be read.

    :param scratch: a folder for copies in UTF-8 of files in another encoding.
    """

    def __init__(self, data: DatasetSpec, files: Sequence[str], *, filesystem: Any, scratch: Path) -> None:
        self._data, self._settings = data, data.csv
        self._partitions = partition_types(files) if data.partitioned else {}
        self.originals: dict[str, str] = {}
        # Only bytes that lie here uncompressed can be searched for an underscore faster than the engine parses them.
        is_local = isinstance(filesystem, LocalFileSystem)
        self._is_at_hand = is_local and not any(file.lower().endswith(".gz") for file in files)
        with ThreadPoolExecutor(_N_LOOKS) as looks:  # each waits for the storage, which may be far away
            heads = list(
                looks.map(lambda each: self._head(filesystem, each[1], scratch / str(each[0])), enumerate(files))
            )
        self._delimiter = delimiter_of(heads)
        # One reader call takes files of one header, so neighbours with the same one make a run; the order of the files
        # is the order of the rows, so runs are never merged across a file with another header.
        alike = itertools.groupby(heads, key=lambda head: head.names)
        self._runs = [_Run(files=tuple(head.file for head in found), names=names) for names, found in alike]
        self._names = list(dict.fromkeys(column for run in self._runs for column in run.names))
        require_one_case(self._names, data.subject)
        require_apart(self._names, self._partitions, data.subject)
        unknown = [column for column in self._settings.types if column not in self._names]
        if unknown:
            raise SpecError(
                f"csv.types names the column {unknown[0]!r}, which {data.subject} do not have. Columns: "
                f"{bounded(self._names, 20)}.{did_you_mean(unknown[0], self._names)}"
            )

    def readings(self, connection: duckdb.DuckDBPyConnection, *, exact: bool) -> dict[str, Reading]:
        """Decide how each column is read, from a sample or from all rows.

        :raises DataError: when the timestamp column mixes times with and without a time zone.
        """
        check_format(connection, self._settings)
        wanted = self._settings.types
        # What the user set is not looked at: a value that does not fit is the error that was asked for.
        given = {column: reading_as(connection, column, kind, self._settings) for column, kind in wanted.items()}
        open_columns = [column for column in self._names if column not in given]
        if not open_columns:
            return given
        # First an example of each column, which tells the few types that it can be of; then only those are counted.
        rows = self._union(limit=None if exact else max(1024, _SAMPLE_ROWS // len(self._runs)))
        values = [self._value(column) for column in open_columns]
        examples = one_row(connection, rows, [f"any_value({value})" for value in values])
        counts = [counts_of(*pair, self._settings) for pair in zip(values, examples, strict=True)]
        found = one_row(connection, rows, counts)
        # The parser's own numbers are the fastest, and right where nothing in the files could be misread by it.
        is_parsed = not exact and self._is_plain()
        for column, counted in zip(open_columns, found, strict=True):
            given[column], is_mixed = reading_of(column, counted, self._settings, is_parsed=is_parsed)
            if is_mixed and column == self._data.timestamp:
                raise mixed_zones(self._data.subject, column, counted)
            if exact and not counted["n"]:
                given[column] = Reading(column=column)
        log.debug("csv types: exact=%s n_columns=%d", exact, len(given))
        return given

    def _is_plain(self) -> bool:
        """Return whether no value has an underscore, which the engine's parser would take for nothing in a number.

        To look through the bytes takes a fraction of what it takes to look at each value. It needs files at hand.
        """
        if self._settings.skip_initial_space or not self._is_at_hand:
            return False
        return not any(_has_underscore(file, self._settings.header) for run in self._runs for file in run.files)

    def sql(self, readings: Mapping[str, Reading]) -> str:
        """Return a query for the rows, in the order of the files."""
        # Two layers: the inner one takes the text and its cast under names of their own, the outer one checks and
        # converts. So a column that is called like another's alias can't be mistaken for it.
        columns = [f"p{place} AS {name(column)}" for place, column in enumerate(self._partitions)]
        parts = [f"{name(column)} AS p{place}" for place, column in enumerate(self._partitions)]
        texts, made = [], []
        for place, column in enumerate(self._names):
            reading, value = readings[column], self._value(column)
            cast = reading.cast_sql(value)
            texts += [f"{value} AS t{place}", *([f"{cast} AS c{place}"] if cast else [])]
            made.append(f"{reading.sql(f't{place}', f'c{place}')} AS {name(column)}")
        # The engine would compute a cast once for each place that has it.
        once = f"SELECT {', '.join(texts + parts)} FROM ({self._union(readings)})"
        return f"SELECT {', '.join(made + columns)} FROM ({once})"

    def misfit(self, connection: duckdb.DuckDBPyConnection, reading: Reading) -> DataError:
        """Return what is wrong with values that are not of the type that the user set."""
        column = reading.column
        for run in self._runs:
            for file in run.files if column in run.names else ():
                one = self._reader(replace(run, files=(file,)), {})
                found = find_misfit(connection, one, reading, self._value(column))
                if found:
                    return self._misfit(column, file, found)
        return DataError(f"{self._data.subject}: column {column!r} does not fit csv.types. Nothing was kept.")

    def _misfit(self, column: str, file: str, found: list[tuple[int, str]]) -> DataError:
        # About: a quoted field may hold line breaks, which the number of the row does not count.
        first = int(self._settings.header) + found[0][0]
        return DataError(
            f"{self.originals.get(file, file)}: column {column!r} has {bounded([text for _, text in found])} at about "
            f"line {first}, csv.types says {self._settings.types[column]}. Nothing was kept. Fix the values, or "
            f"csv.types."
        )

    def _head(self, filesystem: Any, file: str, scratch: Path) -> CsvHead:
        # The copy stands below folders of the partitions' names, from which the engine reads their values.
        kept = Path(*(part for part in file.split("/")[:-1] if "=" in part)) if self._data.partitioned else Path()
        copy = scratch / kept / "copy.csv"
        if not as_utf8(filesystem, file, self._settings, copy):
            return read_head(filesystem, file, self._settings)
        self.originals[str(copy)] = file
        try:
            return read_head(fsspec.filesystem("file"), str(copy), self._settings)
        except DataError as error:
            raise DataError(str(error).replace(str(copy), file)) from error

    def _value(self, column: str) -> str:
        """Return SQL for a column's text."""
        if not self._settings.skip_initial_space:
            return name(column)
        missing = literal(self._settings.missing_values) if self._settings.missing_values else "[]::VARCHAR[]"
        # The engine compares with the missing values before the space is gone, so it is done once more after it.
        text = f"ltrim({name(column)})"
        return f"(CASE WHEN NOT list_contains({missing}, {text}) THEN {text} END)"

    def _union(self, readings: Mapping[str, Reading] | None = None, *, limit: int | None = None) -> str:
        cut = f" LIMIT {limit}" if limit is not None else ""
        return " UNION ALL BY NAME ".join(f"(FROM {self._reader(run, readings or {})}{cut})" for run in self._runs)

    def _reader(self, run: _Run, readings: Mapping[str, Reading]) -> str:
        settings = self._settings
        # Everything is named and nothing detected: with auto_detect the engine guesses types from its own sample, and
        # casts what comes after it.
        kinds = {column: readings[column].parsed_as if column in readings else "VARCHAR" for column in run.names}
        types = ", ".join(f"{literal(column)}: {literal(kind)}" for column, kind in kinds.items())
        options = [
            "auto_detect = false",
            f"delim = {literal(self._delimiter)}",
            f"quote = {literal(settings.quote)}",
            f"escape = {literal(settings.quote)}",
            f"header = {settings.header}",
            f"columns = {{{types}}}",
        ]
        if settings.missing_values:
            options.append(f"nullstr = {literal(settings.missing_values)}")
        else:
            options.append("allow_quoted_nulls = false")
        if self._partitions:
            found = ", ".join(f"{name(key)}: {kind}" for key, kind in self._partitions.items())
            options.append(f"hive_partitioning = true, hive_types = {{{found}}}")
        else:
            options.append("hive_partitioning = false")
        return f"read_csv({paths(run.files)}, {', '.join(options)})"


def _has_underscore(file: str, has_header: bool) -> bool:
    with Path(file).open("rb") as opened:
        if has_header:
            opened.readline()
        return any(b"_" in block for block in iter(lambda: opened.read(_BLOCK_BYTES), b""))
