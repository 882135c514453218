"""What a backtest looks like: the tracks, the months and the times, and a picture of the errors."""

from __future__ import annotations

from datetime import timedelta

from airflow_mlops.adapters import plots
from airflow_mlops.adapters.documents.html import report_page, shown_time
from airflow_mlops.core.backtesting.backtest import TRACKS, BacktestReport, errors_by_month
from airflow_mlops.specs._base import shown_duration

__all__ = ["backtest_page", "shown_error"]


def backtest_page(report: BacktestReport) -> str:
    """Show the tracks side by side."""
    header = ("Track", f"Mean {report.metric}", "By month", "Trained", "Promoted", "Not promoted", "Seconds")
    summaries = [
        (
            each.track,
            shown_error(each.mean_error),
            shown_error(each.monthly_error),
            each.n_trained,
            each.n_promoted,
            each.n_not_promoted,
            f"{each.seconds:.1f}",
        )
        for each in report.summaries
    ]
    by_month = {track: errors_by_month([point for point in report.points if point.track == track]) for track in TRACKS}
    months = [
        (month, *(shown_error(by_month[track].get(month)) for track in TRACKS))
        for month in sorted({month for errors in by_month.values() for month in errors})
    ]
    points = [
        (
            point.track,
            shown_time(point.at),
            shown_error(point.error),
            point.n_rows,
            point.result,
            shown_time(point.serves),
            point.reason,
        )
        for point in report.points
    ]
    columns = ("Track", "At (UTC)", report.metric, "Rows", "Outcome", "Serves the model of (UTC)", "Why")
    return report_page(
        title=f"Backtest of {report.model_name}",
        verdict="REPLAYED",
        facts={
            "From": f"{shown_time(report.since)} UTC",
            "Until": f"{shown_time(report.until)} UTC",
            "Every": shown_duration(timedelta(seconds=report.every_seconds)),
        },
        reasons=(report.conclusion,),
        tables={
            "Tracks": ([header], summaries),
            "Months": ([("Month (UTC)", *TRACKS)], months),
            "Moments": ([columns], points),
        },
        pictures={"Errors by time": plots.backtest_plot(report)},
    )


def shown_error(error: float | None) -> str:
    """Return an error as text; empty where there is none."""
    return "" if error is None else f"{error:.4g}"
