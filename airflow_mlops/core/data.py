"""Snapshots, findings and splits: what is known of the data, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airflow_mlops.core.values import Value
from airflow_mlops.errors import DataHaltedError, bounded, did_you_mean

__all__ = [
    "Column",
    "DatasetPart",
    "DatasetSnapshot",
    "DatasetSplit",
    "Finding",
    "Severity",
    "ValidationReport",
    "Verdict",
    "arrived_files",
    "compare_schemas",
    "draw_rows",
    "mix_bits",
    "reach_verdict",
]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's name, its Arrow type as text, and how many of its values are null."""

    name: str
    type: str
    n_null: int = 0


@dataclass(frozen=True, kw_only=True)
class DatasetSnapshot(Value):
    """A copy of a dataset that never changes and is named by the digest of its rows.

    :param uri: folder that holds ``data.parquet``, ``manifest.json`` and ``profile.json``.
    :param digest: of the rows in their order, columns and types; not of how they were chunked or stored.
    :param window_start: smallest timestamp among the rows, where the dataset has one.
    :param window_end: largest timestamp among the rows.
    :param source: where the rows came from: path and files with their sizes.
    """

    dataset: str
    uri: str
    digest: str
    n_rows: int
    columns: tuple[Column, ...]
    timestamp: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    source: dict[str, Any]
    created_at: datetime
    created_by: str

    @property
    def data_uri(self) -> str:
        """The Parquet file with the rows."""
        return f"{self.uri}/data.parquet"


class Severity(StrEnum):
    """How much a finding matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """What the findings lead to."""

    PROCEED = "PROCEED"
    HALT = "HALT"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    :param examples: at most a few of the values that broke the rule, as text.
    """

    rule: str
    severity: Severity
    column: str | None = None
    observed: str
    expected: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        shown = f" (for example {bounded(self.examples, 3)})" if self.examples else ""
        return f"{where}{self.rule}: found {self.observed}, expected {self.expected}{shown}"


@dataclass(frozen=True, kw_only=True)
class ValidationReport(Value):
    """What a validation looked at, what it found, and what follows."""

    snapshot_digest: str
    n_rows: int
    n_checks: int
    findings: tuple[Finding, ...]
    verdict: Verdict
    report_uri: str = ""

    def require_proceed(self) -> None:
        """Go on, or stop the pipeline.

        :raises DataHaltedError: when the verdict is HALT.
        """
        if self.verdict is Verdict.PROCEED:
            return
        critical = [str(f) for f in self.findings if f.severity is Severity.CRITICAL]
        shown = "\n".join(f"  - {text}" for text in critical[:10])
        more = f"\n  - and {len(critical) - 10} more" if len(critical) > 10 else ""
        raise DataHaltedError(
            f"Data halted: {len(critical)} critical finding(s) in {self.n_rows} rows "
            f"({self.snapshot_digest[:19]}, {self.n_checks} checks).\n{shown}{more}\n"
            f"Nothing was trained and the champion stays. Mend the source and run again. Report: {self.report_uri}"
        )


def reach_verdict(findings: Sequence[Finding]) -> Verdict:
    """Turn findings into one verdict: a critical one halts, everything else is only reported."""
    if any(finding.severity is Severity.CRITICAL for finding in findings):
        return Verdict.HALT
    return Verdict.PROCEED


def compare_schemas(*, reference: Sequence[Column], current: Sequence[Column]) -> tuple[Finding, ...]:
    """Compare the columns of a batch with those that the champion learnt from.

    A column that is gone, new or of another type is critical: models read columns by name, and a new
    name next to a missing one is how a rename looks.

    :returns: the findings, in the order of the reference, new columns last.
    """
    found = {column.name: column for column in current}
    known = {column.name for column in reference}
    findings = []
    for column in reference:
        if column.name not in found:
            new = [name for name in found if name not in known]
            hint = did_you_mean(column.name, new)
            findings.append(_schema_finding("column_missing", column.name, f"no such column.{hint}", column.type))
        elif found[column.name].type != column.type:
            observed = f"type {found[column.name].type}"
            findings.append(_schema_finding("column_retyped", column.name, observed, f"type {column.type}"))
    findings += [
        _schema_finding("column_new", column.name, f"type {column.type}", "no such column")
        for column in current
        if column.name not in known
    ]
    return tuple(findings)


def _schema_finding(rule: str, column: str, observed: str, expected: str) -> Finding:
    return Finding(rule=rule, severity=Severity.CRITICAL, column=column, observed=observed, expected=expected)


@dataclass(frozen=True, kw_only=True)
class DatasetPart:
    """One part of a split: a Parquet file, the digest of its rows and how many there are."""

    uri: str
    digest: str
    n_rows: int


@dataclass(frozen=True, kw_only=True)
class DatasetSplit(Value):
    """A snapshot's rows, or the features made from them, in a training and a held-back part.

    :param method: ``time`` or ``random``.
    :param cut: first timestamp of the held-back part, for a split by time.
    """

    snapshot_digest: str
    method: str
    cut: str | None
    columns: tuple[Column, ...]
    timestamp: str | None
    train: DatasetPart
    test: DatasetPart

    @property
    def digest(self) -> str:
        """The identity of the split: both parts' rows."""
        return f"{self.train.digest}+{self.test.digest}"


def arrived_files(*, now: Mapping[str, str], before: Mapping[str, str], handled: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files that have arrived whole and were not handled yet, sorted.

    :param now: a stamp by file, from this look.
    :param before: the stamps of the look before; a file whose stamp still changes is being written.
    :param handled: the stamps at which files were handled; a file that changed since counts as new.

    >>> arrived_files(now={"a": "1", "b": "2"}, before={"a": "1", "b": "1"}, handled={})
    ('a',)
    """
    return tuple(
        sorted(name for name, stamp in now.items() if before.get(name) == stamp and handled.get(name) != stamp)
    )


def mix_bits(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64 bits evenly: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).

    :param bits: ``(n,) uint64``.
    :returns: ``(n,) uint64``, a permutation of all 64-bit numbers applied to each.

    >>> mix_bits(np.array([0, 1], dtype=np.uint64))
    array([                  0, 6238072747940578789], dtype=uint64)
    """
    with np.errstate(over="ignore"):
        mixed = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def draw_rows(hashes: NDArray[np.uint64], *, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw rows by their hash: a row that is drawn once is drawn again when the data has grown.

    Equal rows are drawn together or not at all, so none of them stands on both sides of a split.

    :param hashes: ``(n_rows,) uint64``, of the rows' values.
    :param fraction: of the rows to draw, in (0, 1).
    :returns: ``(n_rows,) bool``.
    """
    salt = mix_bits(np.array([seed + 1], dtype=np.int64).view(np.uint64))
    return mix_bits(hashes ^ salt).astype(np.float64) / 2.0**64 < fraction
