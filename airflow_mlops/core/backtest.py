"""A backtest: what a retrain policy would have done, beside never and always training again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from airflow_mlops.core.values import Value
from airflow_mlops.errors import SpecError

__all__ = ["TRACKS", "BacktestPoint", "BacktestReport", "Track", "TrackSummary", "replay_moments", "summarise"]

Track = Literal["policy", "never", "always"]

TRACKS: tuple[Track, ...] = ("policy", "never", "always")
"""``policy`` is the spec's own, with its gate. ``never`` serves the first version throughout. ``always`` trains at each
moment and serves the newest model, which is what a scheduled training without a gate does."""

_MAX_MOMENTS = 5000


@dataclass(frozen=True, kw_only=True)
class BacktestPoint(Value):
    """One moment of one track: what was done, and how good what then served was until the next moment.

    :param error: the gate's first metric of what served, on the rows from ``at`` to ``until``; ``None`` without rows.
    :param n_rows: how many rows those were.
    :param outcome: how the run ended, such as ``BLESSED``, ``REJECTED``, ``HALTED``; empty where nothing was trained.
    :param serves: the moment whose model served; ``None`` where there was none yet.
    :param seconds: of wall-clock time for the run, without the scoring.
    """

    track: Track
    at: datetime
    until: datetime
    error: float | None
    n_rows: int
    is_trained: bool
    is_promoted: bool
    outcome: str = ""
    reason: str = ""
    serves: datetime | None = None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """A track from beginning to end.

    :param mean_error: over the moments that have rows, each counting alike.
    :param seconds: of all runs together.
    """

    track: Track
    mean_error: float | None
    n_moments: int
    n_trained: int
    n_promoted: int
    n_rejected: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class BacktestReport(Value):
    """The tracks side by side."""

    model_name: str
    metric: str
    since: datetime
    until: datetime
    every_seconds: float
    summaries: tuple[TrackSummary, ...]
    points: tuple[BacktestPoint, ...]
    report_uri: str = ""

    def table(self) -> Iterator[str]:
        """Give the summaries as lines of text."""
        yield f"{'':<8} {'mean ' + self.metric:>32} {'trained':>8} {'promoted':>9} {'rejected':>9} {'seconds':>8}"
        for each in self.summaries:
            error = "none" if each.mean_error is None else f"{each.mean_error:.4g}"
            yield (
                f"{each.track:<8} {error:>32} {each.n_trained:>8} {each.n_promoted:>9} "
                f"{each.n_rejected:>9} {each.seconds:>8.1f}"
            )


def replay_moments(since: datetime, until: datetime, every: timedelta) -> list[datetime]:
    """Return the moments at which a pipeline would have run: ``since``, and then every so often before ``until``.

    :raises SpecError: when there is none, or there are more than 5,000.
    """
    if since >= until:
        raise SpecError(f"There is nothing to replay: --from {since} is not before --to {until}.")
    n_moments = math.ceil((until - since) / every)
    if n_moments > _MAX_MOMENTS:
        raise SpecError(f"{n_moments} moments are too many to replay. Give a longer --every than {every}.")
    return [since + step * every for step in range(n_moments)]


def summarise(track: Track, points: Sequence[BacktestPoint]) -> TrackSummary:
    """Sum up a track."""
    errors = [point.error for point in points if point.error is not None]
    return TrackSummary(
        track=track,
        mean_error=sum(errors) / len(errors) if errors else None,
        n_moments=len(points),
        n_trained=sum(point.is_trained for point in points),
        n_promoted=sum(point.is_promoted for point in points),
        n_rejected=sum(point.is_trained and not point.is_promoted for point in points),
        seconds=sum((point.seconds for point in points), 0.0),
    )
