"""What a drift check compares: the champion's reference, and the rows that it was not trained on."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_mlops.adapters import duckdb_engine
from airflow_mlops.adapters.storage.inference_window import files_of_window
from airflow_mlops.core.data.profile import ColumnProfile, DatasetProfile, is_numeric, may_be_key
from airflow_mlops.core.data.snapshot import DatasetSnapshot, RowFilter
from airflow_mlops.core.evaluation.report import EvaluationReport
from airflow_mlops.core.monitoring.drift import ColumnFacts, check_limits, unknown_ignored
from airflow_mlops.core.monitoring.drift_report import ColumnKind
from airflow_mlops.core.reason import Reason
from airflow_mlops.core.registry.journal import ModelVersion
from airflow_mlops.core.scoring.inference_log import InferenceColumn, Role
from airflow_mlops.core.training.model import choose_features
from airflow_mlops.errors import DataError, IntegrityError, SpecError, bounded
from airflow_mlops.specs.monitor import MonitoringSpec
from airflow_mlops.steps.data.snapshot import load_profile, load_snapshot
from airflow_mlops.steps.platform import Platform, inference_folder
from airflow_mlops.steps.registry.journal import read_evidence
from airflow_mlops.steps.registry.training_record import load_record
from airflow_mlops.steps.splitting.split import load_training_profile

__all__ = ["Compared", "of_log", "of_snapshot", "season_before"]

log = logging.getLogger(__name__)

_N_NAMES = 10
_ANSWERED = (Role.CHAMPION.value, Role.CANARY.value, Role.BATCH.value)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The two sides of a drift check.

    :param files: that the current rows are in; none where there is no row.
    :param only: which of their rows count.
    :param profile: of the reference, with the columns that are compared.
    :param reference_uri: the file with the reference's rows, for what samples of it are needed for.
    :param gaps: what can't be compared.
    """

    files: tuple[str, ...]
    only: RowFilter
    profile: DatasetProfile
    reference_uri: str
    reference_digest: str
    current_digest: str
    facts: ColumnFacts
    gaps: tuple[Reason, ...] = ()


def of_snapshot(
    snapshot: DatasetSnapshot, champion: ModelVersion, monitoring: MonitoringSpec, platform: Platform
) -> Compared:
    """Compare the rows of a snapshot that are later than the champion's with the champion's snapshot.

    Timestamps, which always move on, and keys, which never come back, are left out.
    """
    record, _ = load_record(champion, platform=platform)
    reference = load_snapshot(platform.storage, snapshot.dataset, champion.snapshot_digest)
    profile = load_profile(platform.storage, reference.dataset, reference.digest)
    known: set[str] = {each.name for each in profile.columns} | {each.name for each in snapshot.columns}
    known |= {*choose_features(record.training, record.split), *InferenceColumn}
    if unknown := unknown_ignored(monitoring, known):
        raise SpecError(f"{unknown} Nothing was decided.")
    left_out = {reference.timestamp, snapshot.timestamp, *record.split.key, *monitoring.ignore}
    columns = [each for each in profile.columns if each.name not in left_out and not may_be_key(each)]
    check_limits(columns, monitoring)
    numeric = {column.name for column in reference.columns if is_numeric(column.type)}
    present = {
        # A column without a value may be of any type, such as the empty one of a CSV file.
        each.name: each.name in numeric if each.n_null == snapshot.n_rows else is_numeric(each.type)
        for each in snapshot.columns
    }
    kept, gaps = _comparable(columns, present, numeric)
    is_later = bool(snapshot.timestamp and reference.window_end)
    return Compared(
        files=(snapshot.data_uri,),
        only=RowFilter(
            timestamp=snapshot.timestamp or "",
            after=reference.window_end if is_later else None,
            until=snapshot.window_end if is_later else None,
        ),
        profile=replace(profile, columns=kept),
        reference_uri=reference.data_uri,
        reference_digest=reference.digest,
        current_digest=snapshot.digest,
        facts=ColumnFacts(
            kinds={record.training.target: ColumnKind.TARGET},
            importances=_importances(_evaluation(champion, platform)),
        ),
        gaps=gaps,
    )


def of_log(champion: ModelVersion, monitoring: MonitoringSpec, platform: Platform, *, end: datetime) -> Compared:
    """Compare what the champion was asked and what it said, with what it was trained on and said when it was evaluated.

    Rows of other versions and of shadows do not count.
    """
    record, _ = load_record(champion, platform=platform)
    training = load_training_profile(record.split, storage=platform.storage)
    evaluation = _evaluation(champion, platform)
    features = set(choose_features(record.training, record.split))
    columns_of_log = {*(each.name for each in training.columns), *InferenceColumn}
    if unknown := unknown_ignored(monitoring, columns_of_log):  # it may be one that a later champion will have
        log.warning("%s What the champion is asked has none of that name.", unknown)
    said = evaluation.predictions if evaluation else ()
    start = end - monitoring.trailing
    files = log_files(champion.model_name, platform, start, end)
    columns = [
        each
        for each in (*(c for c in training.columns if c.name in features), *said)
        if each.name not in monitoring.ignore
    ]
    check_limits(columns, monitoring)
    gaps: tuple[Reason, ...] = ()
    if files:
        numeric = {each.name for each in columns if each.edges is not None}
        kept, gaps = _comparable(columns, duckdb_engine.numeric_columns(files), numeric)
        columns = list(kept)
    if not said:
        gaps += (Reason(stage="monitoring", rule="predictions_not_measured"),)
    return Compared(
        files=files,
        only=RowFilter(
            timestamp=InferenceColumn.AT,
            after=start,
            until=end,
            among={InferenceColumn.MODEL_VERSION: (champion.model_version,), InferenceColumn.ROLE: _ANSWERED},
        ),
        profile=replace(training, columns=tuple(columns)),
        reference_uri=record.split.train.uri,
        reference_digest=record.split.train.digest,
        current_digest="",
        facts=ColumnFacts(
            kinds={each.name: ColumnKind.PREDICTION for each in said},
            importances=_importances(evaluation),
        ),
        gaps=gaps,
    )


def log_files(model_name: str, platform: Platform, start: datetime, end: datetime) -> tuple[str, ...]:
    """Return the files of a model's inference log that may hold rows of a window.

    A file of the day before may hold rows of the minutes after midnight.
    """
    return files_of_window(inference_folder(model_name, storage=platform.storage), start - timedelta(days=1), end)


def season_before(compared: Compared, monitoring: MonitoringSpec, model_name: str, platform: Platform) -> Compared:
    """Return the same window one season before; so many seasons before that the two do not overlap.

    :raises SpecError: when there is no window.
    """
    only = compared.only
    if not only.after or not only.until:
        raise SpecError(
            "monitoring.reference: seasonal needs a window: a dataset with a timestamp that the champion's data has "
            "too. Nothing was decided. Set data.timestamp, or compare with the champion's data."
        )
    n_seasons = max(math.ceil((only.until - only.after) / monitoring.seasonal_period), 1)
    shift: timedelta = n_seasons * monitoring.seasonal_period
    after, until = only.after - shift, only.until - shift
    is_log = not compared.current_digest
    files = log_files(model_name, platform, after, until) if is_log else compared.files
    return replace(compared, files=files, only=replace(only, after=after, until=until))


def _comparable(
    columns: Sequence[ColumnProfile], present: Mapping[str, bool], numeric: set[str]
) -> tuple[tuple[ColumnProfile, ...], tuple[Reason, ...]]:
    """Return the columns that can be compared, and what is to be said of the others.

    :param present: the columns that the current rows have, and whether they are numbers.
    :param numeric: the columns that were numbers.
    :raises DataError: when nothing is left to compare.
    """
    missing = [each.name for each in columns if each.name not in present]
    retyped = [each.name for each in columns if present.get(each.name, each.name in numeric) != (each.name in numeric)]
    if columns and not missing and not retyped:
        return tuple(columns), ()
    rest = tuple(each for each in columns if each.name not in {*missing, *retyped})
    if not rest:
        raise DataError(
            f"Drift can't be measured: columns of the champion's data are missing ({bounded(missing)}) or are of "
            f"another type ({bounded(retyped)}), and no other is left. That is a broken batch, not drift; validate it "
            f"first. Nothing was decided."
        )
    facts = {
        "missing": missing[:_N_NAMES],
        "n_missing": len(missing),
        "retyped": retyped[:_N_NAMES],
        "n_retyped": len(retyped),
    }
    return rest, (Reason(stage="monitoring", rule="columns_not_measured", n=len(missing) + len(retyped), facts=facts),)


def _evaluation(champion: ModelVersion, platform: Platform) -> EvaluationReport | None:
    """Return the evaluation that the champion was blessed by; ``None`` where it is gone or was changed."""
    try:
        return read_evidence(champion.model_name, champion.evidence_digest, storage=platform.storage)
    except IntegrityError as error:
        log.warning("drift without the champion's evaluation: model_version=%d %s", champion.model_version, error)
        return None


def _importances(evaluation: EvaluationReport | None) -> dict[str, float]:
    return {each.feature: each.importance for each in evaluation.importance} if evaluation else {}
