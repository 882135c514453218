"""Backtest: history is replayed through the real pipeline, time by time, without Airflow."""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import connection
from pathlib import Path
from typing import Any

from airflow_mlops.adapters.mlflow.client import Mlflow
from airflow_mlops.adapters.process import threads
from airflow_mlops.adapters.storage.store import Storage
from airflow_mlops.core.backtesting.backtest import (
    TRACKS,
    BacktestPoint,
    BacktestReport,
    Track,
    conclude,
    replay_moments,
    summarise,
)
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.core.stats.metrics import METRICS
from airflow_mlops.errors import NoRowsError, SpecError, UnavailableError
from airflow_mlops.pages.backtest import backtest_page, shown_error
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.data import DatasetSpec, in_utc
from airflow_mlops.specs.metrics import Direction
from airflow_mlops.specs.pipeline import PipelineSpec
from airflow_mlops.steps.backtesting._replay import Replay, spec_of_track
from airflow_mlops.steps.data.connections import Connections
from airflow_mlops.steps.data.snapshot import snapshot_dataset
from airflow_mlops.steps.platform import Platform

__all__ = ["backtest"]

log = logging.getLogger(__name__)

_FOLD = 25
"""Times of ``always`` that are replayed in a row. It is the same for any number of jobs, so that a backtest may go on
with another."""


@dataclass(frozen=True, kw_only=True)
class _Fold:
    """Times of one track that are replayed one after the other, in a folder of their own.

    :param earlier: the track's times before these.
    :param n_moments: of the whole track.
    """

    track: Track
    moments: tuple[datetime, ...]
    earlier: tuple[datetime, ...]
    n_moments: int
    every: timedelta
    root: Path
    spec: PipelineSpec
    connections: Connections | None


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

    At each time the pipeline runs on the data up to it; what serves then is scored on the rows until the next time.
    Where the spec has ``performance``, what served is in the inference log of the next runs, and the labels up to their
    time are. What was finished in the folder is found again, so that an interrupted backtest goes on.

    :param since: the first time, in UTC unless it says otherwise, as ``until``, the end of the last one.
    :param every: time between two times.
    :param folder: for storage, MLflow's database and the report; of one backtest.
    :param n_jobs: processes. The policy and *never* are replayed by one each, *always* by folds of 25 times.
    :raises SpecError: when the data has no timestamp to replay by, there is nothing to replay, or the folder has the
        report of a range that this one does not go on with.
    :raises NoRowsError: when the data has no row at all.
    :raises UnavailableError: when one of the processes was killed.
    """
    if not spec.data.timestamp:
        raise SpecError("A backtest replays by time: set data.timestamp.")
    if n_jobs < 1:
        raise SpecError(f"{n_jobs} jobs can't replay anything. Nothing was replayed. Give --jobs at least 1.")
    moments, storage = replay_moments(in_utc(since), in_utc(until), every), Storage(str(folder))
    _check_earlier_report(storage, moments, every)
    _check_rows(spec.data, Window(start=moments[0], end=in_utc(until)), connections)
    folds = list(_folds(spec, moments, every, folder, connections))
    by_fold = _replay_folds(folds, n_jobs)
    tracks = {
        track: [point for fold, points in zip(folds, by_fold, strict=True) if fold.track == track for point in points]
        for track in TRACKS
    }
    summaries, direction = [summarise(track, points) for track, points in tracks.items()], _direction(spec)
    report = BacktestReport(
        model_name=spec.model_name,
        metric=next(iter(spec.gate.metrics)),
        direction=direction,
        since=moments[0],
        until=moments[-1] + every,
        every_seconds=every.total_seconds(),
        summaries=tuple(summaries),
        points=tuple(point for points in tracks.values() for point in points),
        conclusion=conclude(summaries, direction),
        report_uri="backtest.html",
    )
    storage.write_json(report.to_dict(), "backtest.json")
    storage.write_text(backtest_page(report), report.report_uri)
    return report


def _check_earlier_report(storage: Storage, moments: Sequence[datetime], every: timedelta) -> None:
    """See that a report that is there would not be lost: it may be replaced by one of its range, or of a longer one."""
    if not storage.exists("backtest.json"):
        return
    report = BacktestReport.from_dict(storage.read_json("backtest.json"))
    step = timedelta(seconds=report.every_seconds)
    if (report.since, step) == (moments[0], every) and report.until <= moments[-1] + every:
        return
    raise SpecError(
        f"{storage.root} holds the report of another range: from {report.since:%Y-%m-%d %H:%M} to "
        f"{report.until:%Y-%m-%d %H:%M} UTC, every {shown_duration(step)}. Nothing was replayed, and it stays. Name "
        f"another folder (--out), or remove backtest.json to have it replaced."
    )


def _check_rows(data: DatasetSpec, window: Window, connections: Connections | None) -> None:
    """See that what serves could be scored, before hours are spent: that there are rows in the range."""
    of_all_time = data.model_copy(
        update={"window_start": None, "window_end": None, "trailing": None, "since_last_snapshot": False}
    )
    in_range = of_all_time.model_copy(update={"window_start": window.start, "window_end": window.end})
    with tempfile.TemporaryDirectory(prefix="mlops-backtest-") as scratch:
        known: dict[str, Any] = {"dataset": "range", "storage": Storage(scratch), "connections": connections}
        try:
            snapshot_dataset(in_range, **known)
        except NoRowsError as error:
            found = snapshot_dataset(of_all_time, **known)
            raise SpecError(
                f"There is nothing to replay: the data has no row {window}. It begins at {found.window_start} and ends "
                f"at {found.window_end}. Nothing was replayed. Give --from and --to in between."
            ) from error


def _folds(
    spec: PipelineSpec,
    moments: Sequence[datetime],
    every: timedelta,
    folder: Path,
    connections: Connections | None,
) -> Iterator[_Fold]:
    """Give what can be replayed at the same time, what takes longest first."""
    for track in TRACKS:
        size = _FOLD if track == "always" else len(moments)
        for first in range(0, len(moments), size):
            part = tuple(moments[first : first + size])
            yield _Fold(
                track=track,
                moments=part,
                earlier=tuple(moments[:first]),
                n_moments=len(moments),
                every=every,
                root=folder / track / f"{part[0]:%Y%m%dT%H%M%S}--{every.total_seconds():.0f}s",
                spec=spec_of_track(spec, track),
                connections=connections,
            )


def _replay_folds(folds: Sequence[_Fold], n_jobs: int) -> list[list[BacktestPoint]]:
    if n_jobs == 1:
        return [_replay(fold) for fold in folds]
    context = multiprocessing.get_context("spawn")  # MLflow's connections do not survive a fork
    n_jobs = min(n_jobs, len(folds))
    with ProcessPoolExecutor(n_jobs, context, _begin, (n_jobs, log.getEffectiveLevel())) as pool:
        waiting = [pool.submit(_replay, fold) for fold in folds]
        try:
            for done in as_completed(waiting):
                done.result()
        except BrokenProcessPool as error:
            raise UnavailableError(
                "A process of the backtest was killed, as happens when memory runs out. What it had finished is kept. "
                "Run the same again, with fewer --jobs if memory is short: it goes on from there."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [done.result() for done in waiting]


def _begin(n_jobs: int, level: int) -> None:
    """Prepare a process for its folds."""
    _end_with_parent()
    threads.share_processors(n_jobs)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(level)


def _end_with_parent() -> None:
    """Let this process end when its parent is killed, or it would go on in a folder that another one replays into."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=wait, name="mlops-parent", daemon=True).start()


def _replay(fold: _Fold) -> list[BacktestPoint]:
    """Replay one fold, and log how far it has come."""
    platform = Platform(Storage(str(fold.root)), Mlflow(f"sqlite:///{fold.root / 'mlflow.db'}"), draws=False)
    replay = Replay(fold.spec, fold.track, platform, fold.connections, earlier=fold.earlier)
    points: list[BacktestPoint] = []
    began, n_found = time.monotonic(), 0
    for number, at in enumerate(fold.moments, start=1):
        point, is_found = replay.step(at, at + fold.every)
        points.append(point)
        n_found += is_found
        spent, n_left = time.monotonic() - began, len(fold.moments) - number
        log.info(
            "backtest: track=%s time=%d/%d at=%s error=%s outcome=%s remaining_s=%.0f",
            fold.track,
            len(fold.earlier) + number,
            fold.n_moments,
            at.isoformat(timespec="minutes"),
            shown_error(point.error) or None,
            point.result,
            spent / max(number - n_found, 1) * n_left,
        )
    return points


def _direction(spec: PipelineSpec) -> Direction:
    """Return which way the gate's first metric is better."""
    name, thresholds = next(iter(spec.gate.metrics.items()))
    known = {str(metric): found.direction for metric, found in METRICS.items()}
    return known.get(name) or thresholds.direction or "lower_is_better"
