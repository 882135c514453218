"""The page of a performance check."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_mlops.adapters import plots
from airflow_mlops.adapters.documents.html import Listed, report_page
from airflow_mlops.core.monitoring.performance_report import (
    Cohort,
    PerformanceReport,
    PredictionCounts,
    WindowPerformance,
)
from airflow_mlops.core.stats.interval import Interval
from airflow_mlops.core.wording import sentences_of
from airflow_mlops.pages.reasons import reasons_table

__all__ = ["performance_page"]

_COUNTS = ("Predictions", "No answer", "Labelled", "Coverage", "Bad labels", "Too early")


def performance_page(report: PerformanceReport, *, draws: bool = True) -> str:
    """Show how well a model does, window by window and by the age of its predictions.

    :param draws: whether there is a picture of it.
    """
    judged = [window for window in report.windows if window.metrics]
    names = list(dict.fromkeys(name for cohort in report.cohorts for name in cohort.values))
    labels = report.labels
    return report_page(
        title=f"Performance of {report.model_name}",
        verdict=report.status,
        facts={
            "Version": "none" if report.model_version is None else f"v{report.model_version}",
            "Checked at": f"{report.checked_at:%Y-%m-%d %H:%M} UTC",
            "Compared with": f"{report.n_reference} rows held out at the blessing, evidence {report.evidence_digest}",
            "Naive baseline": report.baseline,
            "Labels": f"{labels.n_rows}, {report.labels_digest or 'none has come'}",
            "Predictions logged twice": report.n_repeated,
        },
        reasons=sentences_of(report.reasons),
        tables={
            "Windows": (
                [("From", "Until before", "Status", *_COUNTS, "Reasons")],
                [
                    (*_span(window), window.status, *_counted(window.counts), Listed(sentences_of(window.reasons)))
                    for window in report.windows
                ],
            ),
            "Rules": reasons_table(report.reasons),
            f"Metrics, with {report.confidence_level:.0%} intervals": (
                [
                    (
                        "From",
                        "Metric",
                        "Value",
                        "At the blessing",
                        "Difference from it",
                        "Naive baseline",
                        "Difference from it",
                    )
                ],
                [row for window in judged for row in _metric_rows(window)],
            ),
            "Slices of the windows": (
                [("From", "Slice", "Rows", "Value", "At the blessing", "Difference")],
                [row for window in judged for row in _slice_rows(window)],
            ),
            "By age of the predictions": (
                [("From", "Until before", "Labels are due", *_COUNTS, *names)],
                [
                    (
                        *_span(cohort),
                        "yes" if cohort.is_mature else "not yet",
                        *_counted(cohort.counts),
                        *(_number(cohort.values.get(name)) for name in names),
                    )
                    for cohort in report.cohorts
                ],
            ),
            "Estimated without labels (can't see concept shift, decides nothing)": (
                [("Predictions", "Metric", "Estimate")],
                [
                    (when, name, _number(value))
                    for when, found in _estimates(report).items()
                    for name, value in found.items()
                ],
            ),
        },
        pictures={"Over time": plots.performance_plot(judged)} if judged and draws else {},
    )


def _span(part: WindowPerformance | Cohort) -> tuple[str, str]:
    return f"{part.start:%Y-%m-%d}", f"{part.end:%Y-%m-%d}"


def _counted(counts: PredictionCounts) -> tuple[object, ...]:
    shown = (counts.n_predictions, counts.n_failed, counts.n_labelled)
    return *shown, f"{counts.coverage:.0%}", counts.n_bad, counts.n_early


def _metric_rows(window: WindowPerformance) -> list[tuple[object, ...]]:
    return [
        (
            _span(window)[0],
            each.metric,
            _around(each.value),
            f"{each.at_blessing:.4g}",
            each.against_blessing,
            _number(each.baseline),
            each.against_baseline or "",
        )
        for each in window.metrics
    ]


def _slice_rows(window: WindowPerformance) -> list[tuple[object, ...]]:
    start, _ = _span(window)
    return [
        (start, each.name, each.n_rows, _number(each.value), _number(each.at_blessing), each.against_blessing)
        for each in window.slices
    ]


def _around(value: Interval) -> str:
    return f"{value.difference:.4g} [{value.low:.4g}, {value.high:.4g}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _estimates(report: PerformanceReport) -> Mapping[str, Mapping[str, float]]:
    by_window = {f"from {_span(window)[0]}": window.estimates for window in report.windows}
    return {"labels not due yet": report.recent_estimates, **by_window}
