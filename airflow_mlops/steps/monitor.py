"""Monitoring: is the new data like what the champion learnt from."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from airflow_mlops.adapters import arrow, duckdb_engine
from airflow_mlops.core.data import DatasetSnapshot
from airflow_mlops.core.monitor import DriftReport, DriftStatus, judge_drift
from airflow_mlops.core.profile import DatasetProfile, is_numeric
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.errors import DataError, bounded
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.steps import pages
from airflow_mlops.steps._platform import Platform
from airflow_mlops.steps.data import check_snapshot, load_profile, load_snapshot
from airflow_mlops.steps.promote import current_champion

__all__ = ["check_drift"]

log = logging.getLogger(__name__)

_SAMPLE_ROWS = 20_000


def check_drift(
    snapshot: DatasetSnapshot,
    monitoring: MonitoringSpec,
    *,
    model_name: str,
    platform: Platform,
    run: PipelineRun,
    draw: bool = True,
) -> DriftReport:
    """Compare the rows that are new since the champion's data with the profile of that data.

    New are the rows after the reference's last timestamp; without a timestamp, all rows of the snapshot.
    The reference itself is not read for this: its profile was counted when its snapshot was made.

    :param draw: whether Evidently draws a picture of samples beside the report, when something drifted.
    :raises DataError: when no column of the reference is left to compare.
    :raises IntegrityError: when the snapshot's rows are not those that it is named by.
    """
    champion = current_champion(model_name, platform=platform)
    picture = ""
    if champion is None:
        report = DriftReport(
            model_name=model_name,
            status=DriftStatus.NO_REFERENCE,
            reasons=("There is no champion, so there is nothing to compare with.",),
            current_digest=snapshot.digest,
            report_uri=platform.report_uri(run, "drift"),
        )
    else:
        reference = load_snapshot(platform.storage, snapshot.dataset, champion.snapshot_digest)
        profile, unmeasured = _comparable(_reference_profile(reference, snapshot, platform), snapshot)
        check_snapshot(snapshot)
        after = _new_rows(reference, snapshot)
        n_rows, counted = duckdb_engine.count_columns(snapshot.data_uri, profile.columns, after=after)
        current = DatasetProfile(snapshot_digest=snapshot.digest, n_rows=n_rows, columns=counted)
        status, columns, reasons = judge_drift(reference=profile, current=current, monitoring=monitoring)
        report = DriftReport(
            model_name=model_name,
            status=status,
            reasons=(*reasons, *unmeasured),
            champion_version=champion.model_version,
            reference_digest=reference.digest,
            current_digest=snapshot.digest,
            n_reference=profile.n_rows,
            n_current=n_rows,
            columns=columns,
            report_uri=platform.report_uri(run, "drift"),
        )
        if draw and status is DriftStatus.DRIFTED:
            picture = _draw(reference, snapshot, [column.name for column in columns[:20]], after, platform, run)
    platform.record(run, "drift", report, pages.drift_page(report, picture))
    log.info("drift: status=%s n_current=%d %s", report.status, report.n_current, " ".join(report.reasons))
    return report


def _new_rows(reference: DatasetSnapshot, snapshot: DatasetSnapshot) -> arrow.After | None:
    if snapshot.timestamp and reference.window_end:
        return snapshot.timestamp, reference.window_end
    return None


def _reference_profile(reference: DatasetSnapshot, snapshot: DatasetSnapshot, platform: Platform) -> DatasetProfile:
    """Return what the champion learnt from, without the timestamp: that always moves on."""
    profile = load_profile(platform.storage, reference.dataset, reference.digest)
    timestamps = {reference.timestamp, snapshot.timestamp}
    return replace(profile, columns=tuple(c for c in profile.columns if c.name not in timestamps))


def _comparable(profile: DatasetProfile, snapshot: DatasetSnapshot) -> tuple[DatasetProfile, tuple[str, ...]]:
    """Return the columns that can be compared, and what is to be said of the others.

    Whether a batch may lack columns is the validation's to say, so drift is measured on the rest.

    :raises DataError: when nothing is left to compare.
    """
    present = {column.name: column.type for column in snapshot.columns}
    missing = [column.name for column in profile.columns if column.name not in present]
    retyped = [c.name for c in profile.columns if c.edges is not None and not is_numeric(present.get(c.name, "int"))]
    if not missing and not retyped:
        return profile, ()
    text = f"columns of the champion's data are missing ({bounded(missing)}) or are no numbers any more"
    text = f"{text} ({bounded(retyped)})"
    rest = tuple(column for column in profile.columns if column.name not in {*missing, *retyped})
    if not rest:
        raise DataError(
            f"Drift can't be measured: {text}, and no other is left. That is a broken batch, not drift; validate it "
            f"first."
        )
    return replace(profile, columns=rest), (f"Not measured: {text}.",)


def _draw(
    reference: DatasetSnapshot,
    snapshot: DatasetSnapshot,
    columns: list[str],
    after: Any,
    platform: Platform,
    run: PipelineRun,
) -> str:
    from airflow_mlops.adapters import evidently

    page = evidently.drift_page(
        reference=arrow.sample_frame(reference.data_uri, columns, _SAMPLE_ROWS),
        current=arrow.sample_frame(snapshot.data_uri, columns, _SAMPLE_ROWS, after=after),
    )
    name = "drift_evidently.html"
    platform.storage.write_text(page, *platform.report_path(run, name))
    return name
