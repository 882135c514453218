"""Drift: are the rows that the champion was not trained on like those that it was trained on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_mlops.adapters import duckdb_engine
from airflow_mlops.adapters.process import threads
from airflow_mlops.core.data.profile import DatasetProfile
from airflow_mlops.core.data.snapshot import DatasetSnapshot
from airflow_mlops.core.monitoring.drift import DriftVerdict, admit_gaps, judge_domains, judge_drift, judge_shares
from airflow_mlops.core.monitoring.drift_report import ColumnKind, DriftReport, DriftStatus
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.values import PipelineRun
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.errors import DataError
from airflow_mlops.extras import has_extra, importing, require_extra
from airflow_mlops.pages.drift import drift_page
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.steps.data.snapshot import check_snapshot
from airflow_mlops.steps.monitoring._reference_profile import Compared, of_log, of_snapshot, season_before
from airflow_mlops.steps.platform import Platform
from airflow_mlops.steps.registry.journal import current_champion

__all__ = ["check_drift", "check_log_drift"]

log = logging.getLogger(__name__)

_SAMPLE_ROWS = 20_000
_MAX_DRAWN = 20
_PICTURE = "drift_evidently.html"


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

    :param draw: whether Evidently, where it is installed, draws a picture of samples beside the report, when something
        drifted.
    :raises DataError: when no column of the reference is left to compare.
    :raises IntegrityError: when the snapshot's rows are not those that it is named by.
    :raises SpecError: when a limit does not fit the columns.
    :raises MissingExtraError: when Evidently is to decide and is not installed.
    """
    champion = current_champion(model_name, platform=platform)
    if champion is None:
        return _without_champion(model_name, snapshot.digest, platform, run)
    check_snapshot(snapshot)
    compared = of_snapshot(snapshot, champion, monitoring, platform)
    return _check(compared, champion, monitoring, platform, run, draw=draw and platform.draws)


def check_log_drift(
    monitoring: MonitoringSpec,
    *,
    model_name: str,
    window_end: datetime,
    platform: Platform,
    run: PipelineRun,
    draw: bool = True,
) -> DriftReport:
    """Compare what the champion is asked and what it says with what it was trained on and said when it was evaluated.

    Looked at are the rows of the inference log that the champion answered in the last ``monitoring.trailing``. Features
    are compared with the profile of the training part: their difference is the skew between training and serving.
    Predictions are compared with those of the held-out rows, of which the evaluation keeps a profile.

    :param window_end: the last time of the window, with a time zone.
    :param draw: whether Evidently, where it is installed, draws a picture of samples beside the report, when something
        drifted.
    :raises DataError: when the log has none of the champion's features.
    :raises IntegrityError: when the champion's reference is missing or damaged.
    :raises SpecError: when a limit does not fit the columns.
    :raises MissingExtraError: when Evidently is to decide and is not installed.
    """
    champion = current_champion(model_name, platform=platform)
    if champion is None:
        return _without_champion(model_name, "", platform, run)
    compared = of_log(champion, monitoring, platform, end=window_end)
    return _check(compared, champion, monitoring, platform, run, draw=draw and platform.draws)


def _without_champion(model_name: str, digest: str, platform: Platform, run: PipelineRun) -> DriftReport:
    report = DriftReport(
        model_name=model_name,
        status=DriftStatus.NO_REFERENCE,
        reasons=(Reason(stage="monitoring", rule="no_reference", verdict=DriftStatus.NO_REFERENCE),),
        current_digest=digest,
        report_uri=platform.report_uri(run, "drift"),
    )
    return _record(report, "", platform, run)


def _check(
    compared: Compared,
    champion: ModelVersion,
    monitoring: MonitoringSpec,
    platform: Platform,
    run: PipelineRun,
    *,
    draw: bool,
) -> DriftReport:
    if monitoring.engine == "evidently":
        require_extra("drift-reports", asked_by="monitoring.engine: evidently")
    season = None
    if monitoring.reference == "seasonal":
        season = season_before(compared, monitoring, champion.model_name, platform)
    reference, current = _count(season) if season else compared.profile, _count(compared)
    verdict = judge_drift(reference=reference, current=current, monitoring=monitoring, facts=compared.facts)
    page, score = "", None
    if verdict.status is not DriftStatus.TOO_FEW_ROWS:
        samples = _Samples(compared, season)
        if monitoring.engine == "evidently":
            verdict, page = _by_evidently(samples, verdict, monitoring)
        if monitoring.domain_classifier:
            score = samples.domain_score()
            verdict = judge_domains(verdict, score)
        drawn = [each.name for each in verdict.columns if each.kind is not ColumnKind.PREDICTION][:_MAX_DRAWN]
        wanted = draw and drawn and not page and verdict.status is DriftStatus.DRIFTED
        if wanted and has_extra("drift-reports"):
            page = samples.compare(drawn).page
        verdict = admit_gaps(verdict, compared.gaps)
    report = DriftReport(
        model_name=champion.model_name,
        status=verdict.status,
        reasons=verdict.reasons,
        champion_version=champion.model_version,
        reference_digest=compared.reference_digest,
        current_digest=compared.current_digest,
        window_start=compared.only.after,
        window_end=compared.only.until,
        n_reference=reference.n_rows,
        n_current=current.n_rows,
        columns=verdict.columns,
        domain_score=score,
        report_uri=platform.report_uri(run, "drift"),
    )
    return _record(report, page, platform, run)


def _count(compared: Compared) -> DatasetProfile:
    """Count the rows in the reference's bins; of no files there are none."""
    profile = compared.profile
    n_rows, columns = 0, profile.columns
    if compared.files:
        n_rows, columns = duckdb_engine.count_columns(compared.files, profile.columns, only=compared.only)
    return replace(profile, snapshot_digest=compared.current_digest, n_rows=n_rows, columns=columns)


@dataclass(frozen=True)
class _Samples:
    """Samples of both sides, for what can't be told from counts. Predictions have no rows in the champion's data.

    :param season: the same window a season before, where it is the reference.
    """

    compared: Compared
    season: Compared | None

    def columns(self, *kinds: ColumnKind) -> list[str]:
        """Return the columns of these kinds."""
        compared = self.compared
        return [each.name for each in compared.profile.columns if compared.facts.kind_of(each.name) in kinds]

    def frames(self, columns: list[str]) -> dict[str, Any]:
        """Return a data frame for each side.

        :raises DataError: when no column is wanted.
        """
        if not columns:
            raise DataError(
                "There is no feature to take samples of, and predictions have no rows in the reference. Nothing was "
                "decided. Leave out monitoring.engine and monitoring.domain_classifier."
            )
        now, then = self.compared, self.season
        old: dict[str, Any] = {"parquet": then.files, "only": then.only} if then else {"parquet": now.reference_uri}
        return {
            "reference": duckdb_engine.sample_rows(columns=columns, max_rows=_SAMPLE_ROWS, **old),
            "current": duckdb_engine.sample_rows(now.files, columns, _SAMPLE_ROWS, only=now.only),
        }

    def compare(self, columns: list[str]) -> Any:
        """Let Evidently compare them."""
        with importing("drift-reports", asked_by="monitoring.engine: evidently"):
            from airflow_mlops.adapters import evidently  # it takes seconds to import

        numeric = [each.name for each in self.compared.profile.columns if each.edges is not None]
        return evidently.compare_frames(**self.frames(columns), numeric=numeric)

    def domain_score(self) -> float:
        """Return how well the features of both can be told apart."""
        from airflow_mlops.adapters.sklearn.domain_classifier import domain_score

        frames = self.frames(self.columns(ColumnKind.FEATURE))
        with threads.limited_threads(1):  # they are small: many threads only wait for each other
            return domain_score(**frames)


def _by_evidently(samples: _Samples, ours: DriftVerdict, monitoring: MonitoringSpec) -> tuple[DriftVerdict, str]:
    """Return Evidently's verdict on each column, and ours on predictions, which it has no rows of."""
    known = {each.name: each for each in ours.columns}
    comparison = samples.compare(samples.columns(ColumnKind.FEATURE, ColumnKind.TARGET))
    judged = {
        each.name: replace(each, kind=known[each.name].kind, importance=known[each.name].importance)
        for each in comparison.columns
    }
    verdict = judge_shares(list((known | judged).values()), monitoring)
    by_evidently = Reason(stage="monitoring", rule="decided_by_evidently")
    return replace(verdict, reasons=(*verdict.reasons, by_evidently)), comparison.page


def _record(report: DriftReport, page: str, platform: Platform, run: PipelineRun) -> DriftReport:
    if page:
        platform.storage.write_text(page, *platform.report_path(run, _PICTURE))
    platform.record(run, "drift", report, drift_page(report, _PICTURE if page else ""))
    log.info(
        "drift: status=%s n_current=%d %s", report.status, report.n_current, " ".join(sentences_of(report.reasons))
    )
    return report
