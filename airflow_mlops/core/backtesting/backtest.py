"""A backtest: what a retrain policy would have done, beside never and always training again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from airflow_mlops.core.stats.metrics import worsening
from airflow_mlops.core.values import Value
from airflow_mlops.errors import SpecError
from airflow_mlops.specs._base import shown_duration
from airflow_mlops.specs.metrics import Direction

__all__ = [
    "TRACKS",
    "BacktestPoint",
    "BacktestReport",
    "MonthError",
    "Track",
    "TrackSummary",
    "conclude",
    "errors_by_month",
    "replay_moments",
    "summarise",
]

Track = Literal["policy", "never", "always"]

TRACKS: tuple[Track, ...] = ("policy", "never", "always")
"""``policy`` is the spec's own, with its gate. ``never`` serves the first version throughout. ``always`` trains at each
time that has new rows and serves the newest model: a scheduled training without a gate."""

_MAX_MOMENTS = 5000


@dataclass(frozen=True, kw_only=True)
class MonthError:
    """The part of a time's error that lies in one calendar month.

    :param month: in UTC, such as ``2012-03``.
    """

    month: str
    error: float
    n_rows: int


@dataclass(frozen=True, kw_only=True)
class BacktestPoint(Value):
    """One time of one track: what was done, and how good what then served was until the next time.

    :param error: the gate's first metric of what served, on the rows from ``at`` to ``until``; ``None`` without rows,
        or where it can't be computed from them.
    :param n_rows: how many rows those were.
    :param months: the same by calendar month.
    :param is_promoted: whether what was trained serves from here on.
    :param outcome: how the run ended, such as ``BLESSED``, ``REJECTED``, ``HALTED``; empty where nothing was judged.
    :param serves: the time whose model served; ``None`` where there was none yet.
    :param seconds: of wall-clock time for the run, without the scoring.
    """

    track: Track
    at: datetime
    until: datetime
    error: float | None
    n_rows: int
    months: tuple[MonthError, ...] = ()
    is_trained: bool
    is_promoted: bool
    outcome: str = ""
    reason: str = ""
    serves: datetime | None = None
    seconds: float

    @property
    def result(self) -> str:
        """What the run came to, also where nothing was judged."""
        return self.outcome or ("TRAINED" if self.is_trained else "NOT_TRAINED")


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """A track from beginning to end.

    :param mean_error: over the times that have rows, each counting alike.
    :param monthly_error: over the calendar months, each counting alike; see :func:`errors_by_month`.
    :param n_not_promoted: models that were trained and did not come to serve, rejected or inconclusive.
    :param seconds: of all runs together.
    """

    track: Track
    mean_error: float | None
    monthly_error: float | None
    n_moments: int
    n_trained: int
    n_promoted: int
    n_not_promoted: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class BacktestReport(Value):
    """The tracks side by side.

    :param direction: of the metric.
    :param conclusion: what :func:`conclude` says of them.
    """

    model_name: str
    metric: str
    direction: Direction
    since: datetime
    until: datetime
    every_seconds: float
    summaries: tuple[TrackSummary, ...]
    points: tuple[BacktestPoint, ...]
    conclusion: str = ""
    report_uri: str = ""

    def table(self) -> Iterator[str]:
        """Give the summaries as lines of text, and the conclusion."""
        yield (
            f"{'':<8} {'mean ' + self.metric:>32} {'by month':>9} {'trained':>8} {'promoted':>9} "
            f"{'not promoted':>13} {'seconds':>8}"
        )
        for each in self.summaries:
            yield (
                f"{each.track:<8} {_shown(each.mean_error):>32} {_shown(each.monthly_error):>9} {each.n_trained:>8} "
                f"{each.n_promoted:>9} {each.n_not_promoted:>13} {each.seconds:>8.1f}"
            )
        yield self.conclusion


def replay_moments(since: datetime, until: datetime, every: timedelta) -> list[datetime]:
    """Return the times at which a pipeline would have run: ``since``, and then every so often before ``until``.

    :raises SpecError: when there is none, or there are more than 5,000, or a step would not lead forward.
    """
    if every <= timedelta(0):
        raise SpecError(
            f"--every is {every.total_seconds():g} seconds, and must be above zero to come to a next time. Nothing "
            f"was replayed. Give a duration such as P1D or PT6H."
        )
    if since >= until:
        raise SpecError(f"There is nothing to replay: --from {since} is not before --to {until}.")
    n_moments = math.ceil((until - since) / every)
    if n_moments > _MAX_MOMENTS:
        raise SpecError(
            f"{n_moments} times are too many to replay. Give a longer --every than {shown_duration(every)}."
        )
    return [since + step * every for step in range(n_moments)]


def errors_by_month(points: Sequence[BacktestPoint]) -> dict[str, float]:
    """Return a track's error in each calendar month, in their order.

    A month's times count by their rows. Of a mean over rows, such as an absolute error, that is the month's own.
    """
    sums: dict[str, tuple[float, int]] = {}
    for part in (part for point in points for part in point.months):
        total, n_rows = sums.get(part.month, (0.0, 0))
        sums[part.month] = (total + part.error * part.n_rows, n_rows + part.n_rows)
    return {month: total / n_rows for month, (total, n_rows) in sorted(sums.items())}


def summarise(track: Track, points: Sequence[BacktestPoint]) -> TrackSummary:
    """Sum up a track."""
    return TrackSummary(
        track=track,
        mean_error=_mean([point.error for point in points if point.error is not None]),
        monthly_error=_mean(list(errors_by_month(points).values())),
        n_moments=len(points),
        n_trained=sum(point.is_trained for point in points),
        n_promoted=sum(point.is_promoted for point in points),
        n_not_promoted=sum(point.is_trained and not point.is_promoted for point in points),
        seconds=sum((point.seconds for point in points), 0.0),
    )


def conclude(summaries: Sequence[TrackSummary], direction: Direction) -> str:
    """Say whether the policy does as well as always training again, and with how many trainings.

    It is as good when its mean over the months is not worse, however little.

    >>> known = {"mean_error": None, "n_moments": 50, "n_promoted": 1, "n_not_promoted": 0, "seconds": 1.0}
    >>> policy = TrackSummary(track="policy", monthly_error=48.0, n_trained=20, **known)
    >>> always = TrackSummary(track="always", monthly_error=50.0, n_trained=50, **known)
    >>> conclude([policy, always], "lower_is_better")
    'The policy is as good as always (48 against 50, by month) with 40 % of its trainings (20 of 50).'
    """
    policy, always = ({each.track: each for each in summaries}.get(track) for track in ("policy", "always"))
    if not policy or not always or policy.monthly_error is None or always.monthly_error is None:
        return "The policy can't be compared with always: one of them never had a model that served rows."
    loss = worsening(direction, policy.monthly_error - always.monthly_error)
    found = f"{policy.monthly_error:.4g} against {always.monthly_error:.4g}, by month"
    if loss <= 0:
        verdict = f"as good as always ({found})"
    else:
        size = f" by {100 * loss / abs(always.monthly_error):.1f} %" if always.monthly_error else ""
        verdict = f"worse than always{size} ({found})"
    share = 100 * policy.n_trained / max(always.n_trained, 1)
    return f"The policy is {verdict} with {share:.0f} % of its trainings ({policy.n_trained} of {always.n_trained})."


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _shown(error: float | None) -> str:
    return "none" if error is None else f"{error:.4g}"
