from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_mlops.core.backtest import BacktestPoint, BacktestReport, replay_moments, summarise
from airflow_mlops.errors import SpecError

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def point(week: int, error: float | None, *, trained: bool = False, promoted: bool = False) -> BacktestPoint:
    at = START + week * WEEK
    known = {"track": "policy", "at": at, "until": at + WEEK, "n_rows": 10, "seconds": 0.5}
    return BacktestPoint(error=error, is_trained=trained, is_promoted=promoted, **known)


def test_the_moments_begin_at_the_first_and_end_before_the_last():
    assert replay_moments(START, START + timedelta(days=15), WEEK) == [START, START + WEEK, START + 2 * WEEK]
    assert replay_moments(START, START + 2 * WEEK, WEEK) == [START, START + WEEK]


def test_nothing_to_replay_and_too_much_are_refused():
    with pytest.raises(SpecError, match="There is nothing to replay"):
        replay_moments(START, START, WEEK)
    with pytest.raises(SpecError, match=r"are too many to replay\. Give a longer --every"):
        replay_moments(START, START + WEEK, timedelta(seconds=60))


def test_a_track_is_summed_up_over_the_moments_that_have_rows():
    points = [point(0, 1.0, trained=True, promoted=True), point(1, None), point(2, 3.0, trained=True)]
    summary = summarise("policy", points)
    assert (summary.mean_error, summary.n_moments) == (2.0, 3)
    assert (summary.n_trained, summary.n_promoted, summary.n_rejected, summary.seconds) == (2, 1, 1, 1.5)
    assert summarise("never", [point(0, None)]).mean_error is None


def test_the_table_has_a_line_for_each_track():
    report = BacktestReport(
        model_name="m",
        metric="mean_absolute_error",
        since=START,
        until=START + WEEK,
        every_seconds=WEEK.total_seconds(),
        summaries=(summarise("policy", [point(0, 1.25, trained=True, promoted=True)]),),
        points=(),
    )
    header, line = report.table()
    assert header.split() == ["mean", "mean_absolute_error", "trained", "promoted", "rejected", "seconds"]
    assert line.split() == ["policy", "1.25", "1", "1", "0", "0.5"]
    assert len(header) == len(line)
