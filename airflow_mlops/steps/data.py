"""Data: copy it, check it, part it."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_mlops.adapters import arrow, duckdb_engine, files
from airflow_mlops.adapters.row_hashes import row_hashes
from airflow_mlops.adapters.storage import Storage, write_document
from airflow_mlops.core.data import (
    DatasetPart,
    DatasetSnapshot,
    DatasetSplit,
    Finding,
    Severity,
    ValidationReport,
    compare_schemas,
    draw_rows,
    reach_verdict,
)
from airflow_mlops.core.monitor import ColumnProfile, DatasetProfile, quantile_edges
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.data import DatasetSpec, SplitSpec, ValidationSpec
from airflow_mlops.steps import pages
from airflow_mlops.steps._platform import Platform, folder_name, short
from airflow_mlops.steps.promote import current_champion

__all__ = ["load_profile", "load_snapshot", "snapshot_dataset", "split_dataset", "validate_dataset"]

log = logging.getLogger(__name__)

_N_BINS = 10


def snapshot_dataset(data: DatasetSpec, *, dataset: str, storage: Storage, actor: str = "unknown") -> DatasetSnapshot:
    """Copy the source's rows into a Parquet file that is named by their digest.

    The rows are streamed. Rows that are there already make no second copy: the snapshot that holds them is
    returned as it is, with the source and the author that it had.

    :param dataset: the name that snapshots of the same source are kept under.
    :raises DataError: when there is nothing to read, it can't be read, or it changes while it is read.
    :raises UnavailableError: when the storage can't be written.
    """
    sources = files.source_files(data.path)
    before = _describe(sources)
    with storage.staging("snapshots", folder_name(dataset)) as staged:
        parquet = staged / "data.parquet"
        with (
            duckdb_engine.scan_source(data, sources) as rows,
            arrow.ParquetDigestWriter(parquet, rows.schema) as writer,
        ):
            for batch in rows:
                writer.write(batch)
        if _describe(sources) != before:
            raise DataError(f"The files at {data.path!r} changed while they were read. Nothing was kept; run again.")
        if writer.n_rows == 0:
            window = f" between {data.window_start or 'the beginning'} and {data.window_end or 'the end'}"
            raise DataError(
                f"{len(sources)} file(s) at {data.path!r} hold no row"
                f"{window if data.window_start or data.window_end else ''}. Nothing was kept and the champion stays. "
                f"Check the window and the delivery."
            )
        parts = ("snapshots", folder_name(dataset), short(writer.digest))
        if storage.exists(*parts):
            snapshot = _with_timestamp(load_snapshot(storage, dataset, writer.digest), data)
            log.info("snapshot unchanged: digest=%s n_rows=%d", snapshot.digest, snapshot.n_rows)
            return snapshot
        low, high = duckdb_engine.time_range(str(parquet), data.timestamp) if data.timestamp else (None, None)
        snapshot = DatasetSnapshot(
            dataset=dataset,
            uri=str(storage.path(*parts)),
            digest=writer.digest,
            n_rows=writer.n_rows,
            columns=writer.columns,
            timestamp=data.timestamp,
            window_start=low,
            window_end=high,
            source={"path": data.path, "n_files": len(sources), "files": before[:100]},
            created_at=datetime.now(UTC),
            created_by=actor,
        )
        write_document(staged / "manifest.json", snapshot.to_dict())
        write_document(staged / "profile.json", _profile(parquet, snapshot).to_dict())
        storage.publish(staged, *parts)
    log.info("snapshot made: digest=%s n_rows=%d n_files=%d", snapshot.digest, snapshot.n_rows, len(sources))
    return snapshot


def _with_timestamp(snapshot: DatasetSnapshot, data: DatasetSpec) -> DatasetSnapshot:
    """Return an earlier snapshot as it is seen now, which may be by another timestamp column."""
    if snapshot.timestamp == data.timestamp:
        return snapshot
    low, high = duckdb_engine.time_range(snapshot.data_uri, data.timestamp) if data.timestamp else (None, None)
    return dataclasses.replace(snapshot, timestamp=data.timestamp, window_start=low, window_end=high)


def load_snapshot(storage: Storage, dataset: str, digest: str) -> DatasetSnapshot:
    """Return the snapshot with this digest.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetSnapshot.from_dict(
        storage.read_json("snapshots", folder_name(dataset), short(digest), "manifest.json")
    )


def load_profile(storage: Storage, dataset: str, digest: str) -> DatasetProfile:
    """Return the profile that was counted when the snapshot was made.

    :raises IntegrityError: when the storage does not have it.
    """
    return DatasetProfile.from_dict(storage.read_json("snapshots", folder_name(dataset), short(digest), "profile.json"))


def validate_dataset(
    snapshot: DatasetSnapshot,
    validation: ValidationSpec,
    *,
    model_name: str | None = None,
    platform: Platform,
    run: PipelineRun,
) -> ValidationReport:
    """Check a snapshot against a suite, and its columns against those that the champion learnt from.

    The report is stored before it is returned; the caller decides by ``report.require_proceed()``.

    :param model_name: whose champion's columns to compare with; ``None`` to run the suite alone.
    :raises SpecError: when the suite can't be used.
    :raises DataError: when an expectation could not be checked for a reason that is not in the data.
    """
    from airflow_mlops.adapters import great_expectations  # it takes seconds to import, and only this step needs it

    champion = current_champion(model_name, platform=platform) if model_name else None
    reference = load_snapshot(platform.storage, snapshot.dataset, champion.snapshot_digest) if champion else None
    expectations = great_expectations.read_suite(validation.suite) if validation.suite else validation.expectations
    findings = [*_check_timestamp(snapshot), *_compare_with(reference, snapshot)]
    present = {column.name for column in snapshot.columns}
    missing = {entry["kwargs"]["column"] for entry in expectations if "column" in entry.get("kwargs", {})} - present
    reported = {finding.column for finding in findings}
    findings += [_column_missing(name) for name in sorted(missing - reported)]

    frame = arrow.read_frame(snapshot.data_uri, snapshot.digest)
    answerable = [entry for entry in expectations if entry.get("kwargs", {}).get("column") not in missing]
    failed, unchecked = great_expectations.run_suite(frame, answerable) if answerable else ([], [])
    findings += failed
    broken = {finding.column for finding in findings if finding.severity is Severity.CRITICAL}
    findings += [finding for finding in unchecked if finding.column in broken]

    name = "validation"
    report = ValidationReport(
        snapshot_digest=snapshot.digest,
        n_rows=snapshot.n_rows,
        n_checks=len(expectations) + (len(reference.columns) if reference else 0) + (1 if snapshot.timestamp else 0),
        findings=tuple(_with_examples(finding, snapshot) for finding in findings),
        verdict=reach_verdict(findings),
        report_uri=platform.report_uri(run, name),
    )
    platform.record(run, name, report, pages.validation_page(report, snapshot))
    log.info("validation: verdict=%s n_checks=%d n_findings=%d", report.verdict, report.n_checks, len(findings))
    unexplained = [finding for finding in unchecked if finding.column not in broken]
    if unexplained:
        raise DataError(
            f"{len(unexplained)} expectation(s) could not be checked, which says nothing about the data: "
            f"{bounded(map(str, unexplained), 3)}. Nothing was trained. Mend the suite. Report: {report.report_uri}"
        )
    return report


def split_dataset(snapshot: DatasetSnapshot, data: DatasetSpec, split: SplitSpec, *, storage: Storage) -> DatasetSplit:
    """Make the rows to train on from a snapshot, and hold some of them back.

    :raises DataError: when the features can't be made, or a part would be empty.
    :raises IntegrityError: when the snapshot's rows are not those that it is named by.
    """
    key = digest_of([snapshot.digest, data.features, data.timestamp, split.model_dump(mode="json")])
    parts = ("splits", folder_name(snapshot.dataset), short(key))
    if storage.exists(*parts):
        return DatasetSplit.from_dict(storage.read_json(*parts, "split.json"))
    arrow.check_rows(snapshot.data_uri, snapshot.digest)
    with storage.staging(*parts[:-1]) as staged, duckdb_engine.feature_rows(snapshot.data_uri, data) as rows:
        is_test, cut = _held_back(snapshot, data, split)
        with (
            arrow.ParquetDigestWriter(staged / "train.parquet", rows.schema) as train,
            arrow.ParquetDigestWriter(staged / "test.parquet", rows.schema) as test,
        ):
            for training_rows, test_rows in arrow.mask_batches(rows, is_test):
                train.write(training_rows)
                test.write(test_rows)
        if not train.n_rows or not test.n_rows:
            raise DataError(
                f"The split by {split.method} with test_fraction {split.test_fraction} leaves {train.n_rows} rows to "
                f"train on and {test.n_rows} to evaluate. Both need some; nothing was trained."
            )
        folder = storage.path(*parts)
        result = DatasetSplit(
            snapshot_digest=snapshot.digest,
            method=split.method,
            cut=cut,
            columns=train.columns,
            timestamp=data.timestamp,
            train=DatasetPart(uri=str(folder / "train.parquet"), digest=train.digest, n_rows=train.n_rows),
            test=DatasetPart(uri=str(folder / "test.parquet"), digest=test.digest, n_rows=test.n_rows),
        )
        write_document(staged / "split.json", result.to_dict())
        storage.publish(staged, *parts)
    log.info("split made: method=%s n_train=%d n_test=%d cut=%s", split.method, train.n_rows, test.n_rows, cut)
    return result


def _held_back(snapshot: DatasetSnapshot, data: DatasetSpec, split: SplitSpec) -> tuple[Any, str | None]:
    """Return the function that tells a batch's held-back rows, and the cut if there is one."""
    if split.method == "random":

        def is_drawn(batch: pa.RecordBatch) -> Any:
            return draw_rows(row_hashes(batch), fraction=split.test_fraction, seed=split.seed)

        return is_drawn, None
    cut = duckdb_engine.time_cut(snapshot.data_uri, data, split.test_fraction)

    def is_test(batch: pa.RecordBatch) -> Any:
        column = batch.column(data.timestamp)
        return pc.fill_null(pc.greater_equal(column, pa.scalar(cut, column.type)), False)

    return is_test, cut.isoformat()


def _profile(parquet: Path, snapshot: DatasetSnapshot) -> DatasetProfile:
    bins = []
    for column in snapshot.columns:
        if column.name == snapshot.timestamp or not arrow.has_profile(column.type):
            continue
        edges = None
        if arrow.is_numeric(column.type):
            found = duckdb_engine.quantiles(str(parquet), column.name, _N_BINS)
            edges = quantile_edges(found) if found else ()
        bins.append(ColumnProfile(name=column.name, edges=edges))
    n_rows, columns = arrow.count_columns(str(parquet), bins)
    return DatasetProfile(snapshot_digest=snapshot.digest, n_rows=n_rows, columns=columns)


def _check_timestamp(snapshot: DatasetSnapshot) -> list[Finding]:
    found = next((column for column in snapshot.columns if column.name == snapshot.timestamp), None)
    if found is None:
        return []
    if not found.type.startswith(("timestamp", "date")):
        return [_critical("timestamp_type", found.name, f"type {found.type}", "a date or a timestamp")]
    if found.n_null:
        return [_critical("timestamp_null", found.name, f"{found.n_null} of {snapshot.n_rows} rows null", "none")]
    return []


def _compare_with(reference: DatasetSnapshot | None, snapshot: DatasetSnapshot) -> tuple[Finding, ...]:
    return compare_schemas(reference=reference.columns, current=snapshot.columns) if reference else ()


def _column_missing(name: str) -> Finding:
    return _critical("column_missing", name, "no such column", "the column that the suite checks")


def _critical(rule: str, column: str, observed: str, expected: str) -> Finding:
    return Finding(rule=rule, severity=Severity.CRITICAL, column=column, observed=observed, expected=expected)


def _with_examples(finding: Finding, snapshot: DatasetSnapshot) -> Finding:
    """Add values that are not of the type that was expected, where a column became text."""
    if finding.rule not in ("column_retyped", "timestamp_type") or "string" not in finding.observed:
        return finding
    wanted = finding.expected.removeprefix("type ").replace("a date or a ", "")
    examples = duckdb_engine.examples_that_are_not(snapshot.data_uri, str(finding.column), wanted)
    return dataclasses.replace(finding, examples=examples)


def _describe(sources: list[Path]) -> list[dict[str, Any]]:
    return [{"name": f.name, "size": f.stat().st_size, "modified_ns": f.stat().st_mtime_ns} for f in sources]
