from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_mlops.core.backtesting.backtest import (
    BacktestPoint,
    BacktestReport,
    MonthError,
    Track,
    TrackSummary,
    conclude,
    errors_by_month,
    replay_moments,
    summarise,
)
from airflow_mlops.errors import SpecError

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def point(
    week: int,
    error: float | None,
    *,
    trained: bool = False,
    promoted: bool = False,
    months: tuple[MonthError, ...] = (),
) -> BacktestPoint:
    at = START + week * WEEK
    known = {"track": "policy", "at": at, "until": at + WEEK, "n_rows": 10, "seconds": 0.5}
    return BacktestPoint(error=error, is_trained=trained, is_promoted=promoted, months=months, **known)


def part(month: str, error: float, n_rows: int) -> MonthError:
    return MonthError(month=month, error=error, n_rows=n_rows)


def track(name: Track, monthly_error: float | None, n_trained: int) -> TrackSummary:
    known = {"mean_error": None, "n_moments": 50, "n_promoted": 0, "n_not_promoted": 0, "seconds": 0.0}
    return TrackSummary(track=name, monthly_error=monthly_error, n_trained=n_trained, **known)


def test_the_moments_begin_at_the_first_and_end_before_the_last():
    assert replay_moments(START, START + timedelta(days=15), WEEK) == [START, START + WEEK, START + 2 * WEEK]
    assert replay_moments(START, START + 2 * WEEK, WEEK) == [START, START + WEEK]


def test_nothing_to_replay_and_too_much_are_refused():
    with pytest.raises(SpecError, match="There is nothing to replay"):
        replay_moments(START, START, WEEK)
    with pytest.raises(SpecError, match=r"are too many to replay\. Give a longer --every"):
        replay_moments(START, START + WEEK, timedelta(seconds=60))


@pytest.mark.parametrize("every", [timedelta(0), -timedelta(days=1)])
def test_a_step_that_leads_nowhere_is_refused(every):
    with pytest.raises(SpecError, match=r"must be above zero .* Nothing was replayed\. Give a duration such as P1D"):
        replay_moments(START, START + WEEK, every)


def test_what_was_not_judged_says_whether_it_trained():
    found = [point(0, None, trained=True), point(1, None), replace(point(2, None), outcome="INCONCLUSIVE")]
    assert [each.result for each in found] == ["TRAINED", "NOT_TRAINED", "INCONCLUSIVE"]


def test_a_track_is_summed_up_over_the_moments_that_have_rows():
    points = [point(0, 1.0, trained=True, promoted=True), point(1, None), point(2, 3.0, trained=True)]
    summary = summarise("policy", points)
    assert (summary.mean_error, summary.n_moments) == (2.0, 3)
    assert (summary.n_trained, summary.n_promoted, summary.n_not_promoted, summary.seconds) == (2, 1, 1, 1.5)
    assert summarise("never", [point(0, None)]).mean_error is None


def test_a_months_error_is_that_of_its_rows_whatever_moment_they_are_of():
    points = [
        point(0, 2.0, months=(part("2026-02", 1.0, 10),)),
        point(1, 3.0, months=(part("2026-02", 4.0, 20), part("2026-03", 6.0, 5))),
    ]
    assert errors_by_month(points) == {"2026-02": pytest.approx(3.0), "2026-03": 6.0}
    assert summarise("policy", points).monthly_error == pytest.approx(4.5)
    assert summarise("policy", [point(0, None)]).monthly_error is None


@pytest.mark.parametrize(
    ("policy", "direction", "verdict"),
    [
        (50.0, "lower_is_better", "as good as always (50 against 50, by month)"),
        (49.0, "lower_is_better", "as good as always (49 against 50, by month)"),
        (51.0, "lower_is_better", "worse than always by 2.0 % (51 against 50, by month)"),
        (49.0, "higher_is_better", "worse than always by 2.0 % (49 against 50, by month)"),
    ],
)
def test_the_conclusion_weighs_the_error_by_month_and_counts_the_trainings(policy, direction, verdict):
    summaries = [track("policy", policy, 20), track("never", 99.0, 1), track("always", 50.0, 50)]
    said = conclude(summaries, direction)
    assert said == f"The policy is {verdict} with 40 % of its trainings (20 of 50)."


def test_a_policy_that_is_worse_by_next_to_nothing_is_worse():
    said = conclude([track("policy", 50.000001, 20), track("always", 50.0, 50)], "lower_is_better")
    assert said.startswith("The policy is worse than always by 0.0 %")


def test_without_a_model_on_both_sides_nothing_is_compared():
    for policy, always in ((None, 50.0), (50.0, None)):
        said = conclude([track("policy", policy, 0), track("always", always, 50)], "lower_is_better")
        assert "can't be compared" in said


def test_the_table_has_a_line_for_each_track_and_the_conclusion():
    trained = point(0, 1.25, trained=True, promoted=True, months=(part("2026-01", 1.5, 10),))
    report = BacktestReport(
        model_name="m",
        metric="mean_absolute_error",
        direction="lower_is_better",
        since=START,
        until=START + WEEK,
        every_seconds=WEEK.total_seconds(),
        summaries=(summarise("policy", [trained]),),
        points=(),
        conclusion="It is so.",
    )
    header, line, conclusion = report.table()
    columns = ["mean", "mean_absolute_error", "by", "month", "trained", "promoted", "not", "promoted", "seconds"]
    assert header.split() == columns
    assert line.split() == ["policy", "1.25", "1.5", "1", "1", "0", "0.5"]
    assert len(header) == len(line)
    assert conclusion == "It is so."
