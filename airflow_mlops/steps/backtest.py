"""Backtest: history is replayed through the real pipeline, moment by moment, without Airflow."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_mlops.adapters import plots
from airflow_mlops.adapters.html import report_page
from airflow_mlops.adapters.mlflow import Mlflow
from airflow_mlops.adapters.storage import Storage
from airflow_mlops.core.backtest import (
    TRACKS,
    BacktestPoint,
    BacktestReport,
    Track,
    replay_moments,
    summarise,
)
from airflow_mlops.core.split import DatasetSplit
from airflow_mlops.core.train import TrainedModel
from airflow_mlops.core.values import PipelineRun, digest_of
from airflow_mlops.errors import DataError, DataHaltedError, LeakageError, NoRowsError, NothingNewError, SpecError
from airflow_mlops.specs.data import in_utc
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.specs.promote import PromotionSpec
from airflow_mlops.specs.retrain import RetrainPolicy
from airflow_mlops.steps._platform import Platform
from airflow_mlops.steps.connections import Connections
from airflow_mlops.steps.data import snapshot_dataset
from airflow_mlops.steps.evaluate import score_rows
from airflow_mlops.steps.features import feature_rows, feature_source
from airflow_mlops.steps.pipeline import PipelineResult, run_pipeline
from airflow_mlops.steps.train import recipe_of

__all__ = ["backtest"]

log = logging.getLogger(__name__)


def backtest(
    spec: PipelineSpec,
    *,
    since: datetime,
    until: datetime,
    every: timedelta,
    folder: Path,
    n_jobs: int = 1,
    connections: Connections | None = None,
) -> BacktestReport:
    """Replay history, and compare the spec's policy with never and with always training again.

    At each moment the pipeline runs on the data up to it; what serves then is scored on the rows until the next moment.
    What was finished in the folder is found again, so that an interrupted backtest goes on.

    :param since: the first moment, in UTC unless it says otherwise, as ``until``, the end of the last one.
    :param every: time between two moments.
    :param folder: for storage, MLflow's database and the report; of one backtest.
    :param n_jobs: tracks at a time, each in a process of its own.
    :raises SpecError: when the data has no timestamp to replay by, or there is nothing to replay.
    """
    if not spec.data.timestamp:
        raise SpecError("A backtest replays by time: set data.timestamp.")
    moments = replay_moments(in_utc(since), in_utc(until), every)
    replay = functools.partial(_replay, spec, moments, every, folder, connections)
    if n_jobs == 1:
        tracks = [replay(track) for track in TRACKS]
    else:
        context = multiprocessing.get_context("spawn")  # MLflow's connections do not survive a fork
        with ProcessPoolExecutor(min(n_jobs, len(TRACKS)), mp_context=context) as pool:
            tracks = list(pool.map(replay, TRACKS))
    report = BacktestReport(
        model_name=spec.model_name,
        metric=next(iter(spec.gate.metrics)),
        since=moments[0],
        until=moments[-1] + every,
        every_seconds=every.total_seconds(),
        summaries=tuple(summarise(track, points) for track, points in zip(TRACKS, tracks, strict=True)),
        points=tuple(point for points in tracks for point in points),
        report_uri="backtest.html",
    )
    storage = Storage(str(folder))
    storage.write_json(report.to_dict(), "backtest.json")
    storage.write_text(_page(report), report.report_uri)
    return report


def _replay(
    spec: PipelineSpec,
    moments: Sequence[datetime],
    every: timedelta,
    folder: Path,
    connections: Connections | None,
    track: Track,
) -> list[BacktestPoint]:
    """Replay one track."""
    root = folder / track
    replay = _Replay(
        _spec_of(spec, track),
        track,
        Platform(Storage(str(root)), Mlflow(f"sqlite:///{root / 'mlflow.db'}")),
        connections,
    )
    points = []
    for number, at in enumerate(moments, start=1):
        points.append(replay.step(at, at + every))
        log.info("backtest: track=%s moment=%d/%d error=%s", track, number, len(moments), points[-1].error)
    return points


def _spec_of(spec: PipelineSpec, track: Track) -> PipelineSpec:
    """Return what a track runs. Nothing is served or shown to a person, and nothing waits for one."""
    changes: dict[str, Any] = {"serving": None, "export": None, "rollout": None, "promotion": PromotionSpec()}
    if track == "always":
        changes["retraining"] = RetrainPolicy()
    return spec.model_copy(update=changes)


class _Replay:
    """One track: what serves on it, from moment to moment. Each moment that was finished is noted."""

    def __init__(self, spec: PipelineSpec, track: Track, platform: Platform, connections: Connections | None) -> None:
        self._spec, self._track = spec, track
        self._platform, self._connections = platform, connections
        self._serving: tuple[datetime, TrainedModel, DatasetSplit] | None = None
        self._identity = digest_of([spec.model_dump(mode="json"), recipe_of(spec.training, spec.tuning)])

    def step(self, at: datetime, until: datetime) -> BacktestPoint:
        """Run at a moment and score what serves until the next one, or find that this was done.

        :raises SpecError: when the folder has the moment of another spec, or of other code.
        """
        storage, place = self._platform.storage, ("moments", f"{at:%Y%m%dT%H%M%S}--{until:%Y%m%dT%H%M%S}.json")
        if storage.exists(*place):
            noted = storage.read_json(*place)
            if noted["identity"] != self._identity:
                raise SpecError(
                    f"{storage.root} holds a backtest of another spec, or of other code. Nothing was replayed. Name "
                    f"another folder (--out), or remove this one."
                )
            if noted["serving"]:
                since, model, split = noted["serving"]
                serving = TrainedModel.from_dict(model), DatasetSplit.from_dict(split)
                self._serving = (datetime.fromisoformat(since), *serving)
            return BacktestPoint.from_dict(noted["point"])
        point = self._replay(at, until)
        shown = self._serving and (self._serving[0].isoformat(), *(each.to_dict() for each in self._serving[1:]))
        storage.write_json({"identity": self._identity, "point": point.to_dict(), "serving": shown}, *place)
        return point

    def _replay(self, at: datetime, until: datetime) -> BacktestPoint:
        started = time.perf_counter()
        outcome, reason, result = "", "", None
        if self._track != "never" or self._serving is None:
            outcome, reason, result = self._run(at)
        seconds = time.perf_counter() - started
        is_promoted = result is not None and result.promotion is not None
        if result and result.model and (is_promoted or self._track == "always"):
            self._serving = (at, result.model, result.split)
        error, n_rows = self._score(at, until)
        return BacktestPoint(
            track=self._track,
            at=at,
            until=until,
            error=error,
            n_rows=n_rows,
            is_trained=result is not None and result.model is not None,
            is_promoted=is_promoted,
            outcome=outcome,
            reason=reason,
            serves=self._serving[0] if self._serving else None,
            seconds=seconds,
        )

    def _run(self, at: datetime) -> tuple[str, str, PipelineResult | None]:
        """Run the pipeline on what was known at a moment; one that was interrupted goes on."""
        data = self._spec.data.model_copy(update={"window_end": at})
        run = PipelineRun(pipeline=self._spec.model_name, run_id=f"backtest__{at.isoformat()}", actor="backtest")
        try:
            result = run_pipeline(
                self._spec.model_copy(update={"data": data}),
                platform=self._platform,
                run=run,
                connections=self._connections,
                now=at,
            )
        except (DataError, DataHaltedError, LeakageError, NothingNewError) as error:
            return "HALTED", str(error).splitlines()[0], None
        verdict = str(result.blessing.verdict) if result.blessing else ""
        return verdict, result.decision.reasons[0], result

    def _score(self, at: datetime, until: datetime) -> tuple[float | None, int]:
        """Return the gate's first metric of what serves on the rows that came next, and how many they are."""
        if self._serving is None:
            return None, 0
        _, model, split = self._serving
        window = {"window_start": at, "window_end": until, "trailing": None, "since_last_snapshot": False}
        data = self._spec.data.model_copy(update=window)
        known: dict[str, Any] = {"storage": self._platform.storage, "connections": self._connections}
        name = f"{self._spec.model_name}.live"
        try:
            snapshot = snapshot_dataset(data, dataset=name, **known)
        except NoRowsError:
            return None, 0
        source = feature_source(data, dataset=name, **known)
        with feature_rows(snapshot, data, storage=self._platform.storage, source=source) as rows:
            frame = rows.read_all().to_pandas(date_as_object=False)
        if frame.empty:
            return None, 0
        scores = score_rows(model, frame, split=split, gate=self._spec.gate, platform=self._platform)
        return scores[next(iter(self._spec.gate.metrics))], len(frame)


def _page(report: BacktestReport) -> str:
    header = ("Track", f"Mean {report.metric}", "Trained", "Promoted", "Rejected", "Seconds")
    summaries = [
        (each.track, _shown(each.mean_error), each.n_trained, each.n_promoted, each.n_rejected, f"{each.seconds:.1f}")
        for each in report.summaries
    ]
    points = [
        (
            point.track,
            _day(point.at),
            _shown(point.error),
            point.n_rows,
            point.outcome,
            _day(point.serves),
            point.reason,
        )
        for point in report.points
    ]
    return report_page(
        title=f"Backtest of {report.model_name}",
        verdict="REPLAYED",
        facts={
            "From": _day(report.since),
            "Until": _day(report.until),
            "Every": timedelta(seconds=report.every_seconds),
        },
        reasons=(),
        tables={
            "Tracks": ([header], summaries),
            "Moments": ([("Track", "At", report.metric, "Rows", "Outcome", "Serves the model of", "Why")], points),
        },
        pictures={"Errors by time": plots.backtest_plot(report)},
    )


def _shown(error: float | None) -> str:
    return "" if error is None else f"{error:.4g}"


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else ""
